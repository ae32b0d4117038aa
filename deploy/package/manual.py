#!/usr/bin/env python3
"""The manual page homeward(1), in mdoc, from what the command says of itself.

    homeward --experimental-dump-help | manual.py VERSION DATE > homeward.1
"""

import json
import re
import sys


def plain(text):
    """Text as roff takes it: no escape and no request by accident."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    lines = [line.strip() for line in text.split("\n")]
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def paragraphs(text):
    return "\n.Pp\n".join(plain(part) for part in re.split(r"\n\s*\n", text.strip()))


def flags(argument):
    """`.Fl \\-config Ar FILE` and the like, without the leading dot."""
    if argument["kind"] == "positional":
        return f"Ar {argument['valueName']}"
    names = [("\\-" if name["kind"] != "short" else "") + name["name"].replace("-", "\\-")
             for name in argument["names"]]
    text = " , ".join(f"Fl {name}" for name in names)
    return text + (f" Ar {argument['valueName']}" if argument["kind"] == "option" else "")


def synopsis(argument):
    text = flags({**argument, "names": [argument["preferredName"]]} if argument.get("preferredName") else argument)
    if argument.get("isRepeating"):
        text += " ..."
    return f"Op {text}" if argument["isOptional"] else text


def shown(command):
    common = {"help", "version"}
    return [argument for argument in command.get("arguments", [])
            if argument["shouldDisplay"] and argument["valueName"] not in common]


def leaves(command, path):
    """The commands that can be run, with the words before them."""
    here = path + [command["commandName"]]
    below = [part for part in command.get("subcommands", []) if part["shouldDisplay"] and part["commandName"] != "help"]
    if not below:
        yield here, command
    for part in below:
        yield from leaves(part, here)


def section(words, command, output):
    output.append(f".Ss {plain(' '.join(words))}")
    output.append(f".Bd -ragged -compact\n.Nm {plain(' '.join(words))}")
    output += [f".{synopsis(argument)}" for argument in shown(command)]
    output.append(".Ed\n.Pp")
    output.append(plain(command.get("abstract", "")))
    if command.get("discussion"):
        output.append(f".Pp\n{paragraphs(command['discussion'])}")
    arguments = shown(command)
    if arguments:
        output.append(".Bl -tag -width Ds")
        for argument in arguments:
            output.append(f".It {flags(argument)}")
            text = argument.get("abstract", "")
            if argument.get("defaultValue"):
                text += f" Default: {argument['defaultValue']}."
            output.append(plain(text))
        output.append(".El")


def page(root, version, date):
    output = [
        f'.\\" Made from the help of homeward {version}; not edited by hand.',
        f".Dd {date}", ".Dt HOMEWARD 1", f".Os homeward {version}", ".Sh NAME", ".Nm homeward",
        f".Nd {plain(root['abstract'].rstrip('.'))}",
        ".Sh SYNOPSIS", ".Nm\n.Ar command\n.Op options", ".Sh DESCRIPTION", paragraphs(root.get("discussion", "")),
        ".Sh COMMANDS",
    ]
    for words, command in leaves(root, []):
        section(words, command, output)
    output += [
        ".Sh ENVIRONMENT", ".Bl -tag -width Ds",
        ".It Ev HOMEWARD_SECTION_KEY",
        plain("Overrides a key of the configuration: HOMEWARD_BROKER_HOST stands for broker.host."),
        ".It Ev STATE_DIRECTORY", plain("Where the spool is unless spool.directory says; systemd sets it."),
        ".It Ev CREDENTIALS_DIRECTORY",
        plain("Where a secret is looked for that is no file beside the configuration; systemd sets it."),
        ".El",
        ".Sh FILES", ".Bl -tag -width Ds",
        ".It Pa /etc/homeward/homeward.yaml", plain("The configuration; every key stands in it with its default."),
        ".It Pa /etc/homeward/credentials", plain("Secrets, a file each, which the unit hands over."),
        ".It Pa /etc/homeward/tls", plain("Certificates and keys, read again at each connect."),
        ".It Pa /var/lib/homeward", plain("The spool and what else outlives the daemon."),
        ".It Pa /usr/share/homeward", plain("Protocol packs, message templates, broker and monitoring."),
        ".El",
        ".Sh EXIT STATUS",
        plain("As in sysexits.h: 0, 64 usage, 65 bad data, 69 a server is unavailable, 70 a fault of homeward's own, "
              "78 bad configuration."),
        ".Sh SEE ALSO", ".Xr mosquitto 8 ,\n.Xr postgres 1 ,\n.Xr systemctl 1",
    ]
    return "\n".join(line for line in output if line) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(json.load(sys.stdin)["command"], *sys.argv[1:3]))
