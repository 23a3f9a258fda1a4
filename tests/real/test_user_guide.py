"""Every command of `docs/user-guide.md` is run, in the order in which it stands there, on the machine
that its first line names, with every setting that stands before it."""

import os
import re
import shutil
import subprocess

import pytest
from session_buddy import COMMAND, unpack
from support import ROOT, binary, environment

PAGE = (ROOT / "docs" / "user-guide.md").read_text()
BLOCKS = re.findall(r"^```(sh|toml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
MACHINES = ("laptop", "other machine", "new machine")


def where(block):
    """Returns the machines that a block is for: its first line says so."""
    named = re.match(r"# on (?:the |every )(.*)\n", block)
    if named is None:
        return ["laptop"]
    return list(MACHINES[:2]) if named[1] == "machine" else [named[1]]


class Guide:
    """The machines of the guide, each with a home of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "share").mkdir()
        for name, target in (("akosha", binary()), ("duckdb", COMMAND)):
            (self.bin / name).symlink_to(target)
        for name in MACHINES:
            (self.home(name) / ".config/akosha").mkdir(parents=True)
        (self.home("laptop") / "notes.db").write_bytes(b"a database " * 1000)

    def home(self, machine):
        return self.folder / machine.replace(" ", "-")

    def config(self, machine):
        return self.home(machine) / ".config/akosha/akosha.toml"

    def real(self, text):
        """Puts the folders of this test in place of those that the guide makes up."""
        return text.replace("/mnt/share", str(self.folder / "share")).replace(
            "/home/me", str(self.home("laptop"))
        )

    def sh(self, machine, script):
        path = f"{self.bin}:{os.environ['PATH']}"
        env = environment(self.home(machine), PATH=path, AKOSHA_URL="http://127.0.0.1:9/mcp")
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.home(machine),
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, said
        return done.stdout

    def use_session_buddy(self):
        """Puts its databases where it keeps them."""
        unpack(self.folder / "fixtures")
        shutil.copytree(self.folder / "fixtures/clean", self.home("laptop") / ".claude/data")

    def carry_key(self, machine):
        """Does what the guide leaves to a person: carries the key over."""
        key = self.home("laptop") / ".local/share/akosha/keys.json"
        if key.exists():
            shutil.copy(key, self.home(machine) / "keys.json")


def test_every_command_and_setting_works_in_its_place(tmp_path):
    guide = Guide(tmp_path)
    share, kept = tmp_path / "share", tmp_path / "kept"
    ran = []
    for kind, block in BLOCKS:
        for machine in where(block):
            config = guide.config(machine)
            if kind == "toml" and ("cloud_bucket" not in block or "file://" in block):
                before = config.read_text() if config.exists() else ""
                config.write_text(before + guide.real(block))
                config.chmod(0o600)
            elif kind == "sh":
                guide.carry_key(machine)
                if "session-buddy" in block:
                    guide.use_session_buddy()
                takes_over = machine == "new machine"
                if takes_over:
                    shutil.copy(guide.config("laptop"), config)
                    shutil.copytree(share, kept)
                ran.append((machine, block, guide.sh(machine, block)))
                if takes_over:
                    # The laptop is not gone: the guide goes on there.
                    shutil.rmtree(share)
                    kept.rename(share)
    said = {block.splitlines()[-1]: out for _, block, out in ran}
    assert "Monday" in said['akosha search "when is staging reset"']
    assert len(said["akosha key show --phrase"].split()) >= 24
    assert "notes.db" in said["akosha files list"]
    restored = guide.home("other machine") / "restored/notes.db"
    assert restored.read_bytes() == (guide.home("laptop") / "notes.db").read_bytes()
    assert sum(block.count("akosha ") for _, block, _ in ran) > 20


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "toml"])
def test_every_setting_is_valid(tmp_path, block):
    guide = Guide(tmp_path)
    needs_key = "encryption" in block
    config = guide.config("laptop")
    config.write_text(guide.real(block))
    config.chmod(0o600)
    if needs_key:
        guide.sh("laptop", "akosha key create")
    guide.sh("laptop", "akosha config check")


def test_the_words_on_the_lines_of_the_tables_are_commands(tmp_path):
    guide = Guide(tmp_path)
    named = set(re.findall(r"`akosha ([a-z-]+(?: [a-z]+)?)[ `]", PAGE))
    assert len(named) > 8, named
    for command in sorted(named):
        guide.sh("laptop", f"akosha {command} --help")
