"""What zsh makes of lines when Tab is pressed: complete.py FUNCTIONS FOLDER LINE...

Starts an interactive zsh on a terminal of its own, with the completion functions of a folder and FOLDER as working
folder, types each line and a Tab, and prints the line that results. Ends with 1 if zsh does not answer.
"""
import os
import pty
import re
import select
import sys

functions, folder, lines = sys.argv[1], sys.argv[2], sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.chdir(folder)
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "TERM": "dumb", "LANG": "C.UTF-8"}
    os.execvpe("zsh", ["zsh", "-f", "-i"], environment)


def until(pattern):
    """Reads until a pattern comes; what it matched."""
    text = ""
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        if not ready:
            sys.exit(f"zsh does not answer; it wrote {text!r}")
        text += os.read(terminal, 65536).decode(errors="replace")
        if found := re.search(pattern, text, re.DOTALL):
            return found


def write(text):
    os.write(terminal, text.encode())


setup = f"""
PS1= ; unsetopt zle_bracketed_paste 2>/dev/null; fpath=({functions} $fpath)
autoload -Uz compinit; compinit -u -d {folder}/zcompdump
show() {{ print -r -- "<line:${{BUFFER}}:line>"; BUFFER= }}; zle -N show; bindkey '^T' show
print -r -- rea''dy
"""
write(setup)
until("\nready")
for line in lines:
    write(line + "\t\x14")
    print(until("<line:(.*?):line>")[1].rstrip())
write("exit\n")
os.close(terminal)
