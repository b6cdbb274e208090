// Checks a Stardust log over its socket with Go's golang.org/x/mod/sumdb packages: the checkpoint's
// signature, the root over all entries, a proof of inclusion for each entry, and consistency between
// all sizes. It shares no code with Stardust.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run audit.go SOCKET VERIFIER-KEY
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var client http.Client

func get(path string) []byte {
	response, err := client.Get("http://stardust" + path)
	check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != 200 {
		check(fmt.Errorf("%s: %s: %s", path, response.Status, body))
	}
	return body
}

func check(err error) {
	if err != nil {
		fmt.Println("NOT SOUND:", err)
		os.Exit(1)
	}
}

// open checks the signature of a checkpoint and gives the tree that it commits to.
func open(text []byte, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.SplitN(signed.Text, "\n", 4)
	if lines[0] != verifier.Name() {
		check(fmt.Errorf("the checkpoint is of %s", lines[0]))
	}
	var tree tlog.Tree
	_, err = fmt.Sscanf(lines[1], "%d", &tree.N)
	check(err)
	tree.Hash, err = tlog.ParseHash(lines[2])
	check(err)
	return tree
}

// entries reads the leaves of a tree from their bundles.
func entries(size int64) [][]byte {
	var all [][]byte
	for int64(len(all)) < size {
		path := fmt.Sprintf("/tile/entries/%03d", len(all)/256)
		if left := size - int64(len(all)); left < 256 {
			path += fmt.Sprintf(".p/%d", left)
		}
		bundle := bytes.NewReader(get(path))
		for bundle.Len() > 0 {
			var length uint16
			check(binary.Read(bundle, binary.BigEndian, &length))
			entry := make([]byte, length)
			_, err := io.ReadFull(bundle, entry)
			check(err)
			all = append(all, entry)
		}
	}
	return all
}

func hashes(lines []string) []tlog.Hash {
	var all []tlog.Hash
	for _, line := range lines {
		bytes, err := base64.StdEncoding.DecodeString(line)
		check(err)
		var hash tlog.Hash
		copy(hash[:], bytes)
		all = append(all, hash)
	}
	return all
}

func main() {
	client.Transport = &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", os.Args[1])
		},
	}
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	tree := open(get("/checkpoint"), verifier)

	// The roots of all sizes, made from the leaves alone.
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	roots := make([]tlog.Hash, tree.N+1)
	leaves := entries(tree.N)
	for index, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(index), leaf, reader)
		check(err)
		stored = append(stored, more...)
		roots[index+1], err = tlog.TreeHash(int64(index)+1, reader)
		check(err)
	}
	if roots[tree.N] != tree.Hash {
		check(fmt.Errorf("the entries give %v, the checkpoint says %v", roots[tree.N], tree.Hash))
	}

	for index, leaf := range leaves {
		var packet struct {
			ID   string `json:"stardust_id"`
			Kind string `json:"kind"`
		}
		check(json.Unmarshal(get(fmt.Sprintf("/v1/entries/%d", index)), &packet))
		if packet.Kind == "key_rotation" {
			continue
		}
		head, checkpoint, _ := strings.Cut(string(get("/v1/packets/"+packet.ID+"/proof")), "\n\n")
		under := open([]byte(checkpoint), verifier)
		lines := strings.Split(head, "\n")
		if lines[0] != "c2sp.org/tlog-proof@v1" || lines[2] != fmt.Sprintf("index %d", index) {
			check(fmt.Errorf("entry %d: not its proof: %s", index, head))
		}
		proof := tlog.RecordProof(hashes(lines[3:]))
		check(tlog.CheckRecord(proof, under.N, under.Hash, int64(index), tlog.RecordHash(leaf)))
	}

	pairs := 0
	for to := int64(1); to <= tree.N; to++ {
		for from := int64(1); from <= to; from++ {
			var answer struct{ Hashes []string }
			path := fmt.Sprintf("/v1/proofs/consistency?from=%d&to=%d", from, to)
			check(json.Unmarshal(get(path), &answer))
			proof := tlog.TreeProof(hashes(answer.Hashes))
			check(tlog.CheckTree(proof, to, roots[to], from, roots[from]))
			pairs++
		}
	}
	fmt.Printf("sound: %d entries, root %v, %d pairs of sizes\n", tree.N, tree.Hash, pairs)
}
