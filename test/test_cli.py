"""The command line dispatches, reports bad input, and starts quickly."""

import subprocess
import sys

import pytest

from casapose_ros import cli, commands
from casapose_ros.errors import MeshError


@pytest.fixture
def command(monkeypatch, tmp_path):
    """One subcommand, ``greet NAME``, in place of the real ones."""
    (tmp_path / "greet_someone.py").write_text(
        "NAME = 'greet-someone'\n"
        "HELP = 'say hello'\n"
        "def add_arguments(parser):\n"
        "    parser.add_argument('name')\n"
        "def run(args):\n"
        "    from casapose_ros.errors import MeshError\n"
        "    if args.name == 'nobody':\n"
        "        raise MeshError('nobody has no faces')\n"
        "    if args.name == 'ctrl-c':\n"
        "        raise KeyboardInterrupt\n"
        "    print('hello', args.name)\n"
        "    return 7\n"
    )
    monkeypatch.setattr(commands, "__path__", [str(tmp_path)])
    yield "greet-someone"
    sys.modules.pop("casapose_ros.commands.greet_someone", None)


def test_runs_the_command_and_returns_its_status(command, capsys):
    assert cli.main([command, "world"]) == 7
    assert capsys.readouterr().out == "hello world\n"


def test_bad_input_is_one_line_and_status_2(command, capsys):
    assert issubclass(MeshError, ValueError)
    assert cli.main([command, "nobody"]) == 2
    assert capsys.readouterr().err == "casapose greet-someone: nobody has no faces\n"


def test_interrupt_is_no_traceback(command, capsys):
    assert cli.main([command, "ctrl-c"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["greet-someone"]])
def test_wrong_arguments_exit_with_usage(command, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: casapose" in capsys.readouterr().err


def test_every_command_is_complete():
    actions = cli.build_parser()._subparsers._group_actions[0]
    assert set(actions.choices) == {
        "ablate", "bag", "compare", "evaluate", "import-h5", "objects", "outlines", "predict",
        "render", "train",
    }  # fmt: skip
    for name, parser in actions.choices.items():
        assert callable(parser.get_default("run")), name
        assert parser.description, name


def test_help_does_not_import_what_takes_long():
    program = (
        "import sys\n"
        "from casapose_ros import cli\n"
        "try:\n"
        "    cli.main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "slow = {'tensorflow', 'keras', 'scipy', 'matplotlib', 'moderngl', 'trimesh'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "COMMAND" in done.stdout
