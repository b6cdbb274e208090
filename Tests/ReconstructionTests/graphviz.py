"""Draws graphs with Graphviz, and tells what is to be seen, as mermaid.py does for Mermaid's.

    graphviz.py < [GRAPH, ...] > [{"nodes": {ID: TEXT}, "arrows": [TEXT], "error": null}, ...]
"""
import json
import subprocess
import sys
import xml.etree.ElementTree as xml

SVG = "{http://www.w3.org/2000/svg}"
seen = []
for graph in json.load(sys.stdin):
    drawn = subprocess.run(["dot", "-Tsvg"], input=graph.encode(), capture_output=True, check=False)
    found = {"nodes": {}, "arrows": [], "error": drawn.stderr.decode() or None}
    seen.append(found)
    for group in xml.fromstring(drawn.stdout).iter(SVG + "g"):
        text = "\n".join(line.text or "" for line in group.findall(SVG + "text"))
        if group.get("class") == "node":
            found["nodes"][group.find(SVG + "title").text] = text
        elif group.get("class") == "edge":
            found["arrows"].append(text)
json.dump(seen, sys.stdout)
