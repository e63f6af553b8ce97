import json
import resource

import pytest

from kgan.errors import InputError, RunError
from kgan.journal import Journal


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def test_entries_come_back_in_order_and_with_their_time(journal):
    for step in range(3):
        journal.append(kind="metrics", step=step, values={})
    entries = journal.entries()
    assert [entry["step"] for entry in entries] == [0, 1, 2]
    assert all(isinstance(entry["time"], int) for entry in entries)


def test_an_entry_may_bring_its_time_and_a_run_its_last_word(journal):
    journal.append(kind="status", status="FINISHED", time=123)
    assert journal.last_word == {"kind": "status", "status": "FINISHED", "time": 123}
    journal.append(kind="evaluation", step=3, file="evaluations/step-0000003-0.json", values={"fid": 1.5})
    assert journal.status == "FINISHED"  # what is found out afterwards does not take it back
    journal.append(kind="resumed", step=3)
    assert journal.last_word is None and journal.status is None
    journal.append(kind="evaluation", step=3, file="evaluations/step-0000003-0.json", values={"fid": "1.5"})
    assert journal.status is None
    journal.append(**{"kind": "status", "status": "FINISHED", "time": 123})
    assert [entry["kind"] for entry in journal.entries()] == ["status", "evaluation", "resumed", "damaged", "status"]
    assert journal.status == "FINISHED" and journal.entries()[-1]["time"] == 123


def test_what_is_sent_is_not_sent_again(journal):
    assert journal.is_sent and journal.position == 0 and journal.unsent() == []
    for step in range(3):
        journal.append(kind="metrics", step=step, values={})
    first, *_ = journal.unsent()
    journal.position += first[0]
    assert [entry["step"] for _, entry in journal.unsent()] == [1, 2]
    assert not journal.is_sent
    journal.position += sum(length for length, _ in journal.unsent())
    assert journal.is_sent


@pytest.mark.parametrize("text", ["x", "-5", "999999", "3", "9" * 5000, ""])
def test_a_damaged_position_sends_all_again(journal, tmp_path, text):
    journal.append(kind="metrics", step=0, values={})
    (tmp_path / "journal.sent").write_text(text)
    assert journal.position == 0 and len(journal.unsent()) == 1 and not journal.is_sent


def test_damaged_lines_do_not_hide_the_others(journal):
    journal.append(kind="metrics", step=0, values={})
    with journal.path.open("ab") as file:
        file.write(b'{"kind": "met\xff\n[1]\n{"kind": ["list"]}\nnull\n' + b"[" * 99_999 + b"\n")
        file.write(b'{"kind": "metrics", "step": "x", "values": {}, "time": 1}\n{"kind": "image", "time": 1}\n')
    journal.append(kind="status", status="FINISHED")
    assert [entry["kind"] for entry in journal.entries()] == ["metrics", *["damaged"] * 7, "status"]
    assert journal.status == "FINISHED"


@pytest.mark.parametrize("half", [b"", b'{"kind": "metr'])
def test_the_journal_of_a_dead_process_ends_as_killed(journal, half):
    journal.append(kind="metrics", step=4, values={})
    with journal.path.open("ab") as file:
        file.write(half)
    assert journal.status is None
    for _ in range(2):  # the second time there is nothing to settle
        journal.settle()
        assert journal.status == "KILLED"
        assert [entry["kind"] for entry in journal.entries()] == ["metrics", "status"]


def test_the_status_is_the_last_word_only(journal):
    journal.append(kind="status", status="KILLED")
    journal.append(kind="resumed", step=3)
    assert journal.status is None


def test_a_journal_of_absurd_size_is_not_read(journal):
    with journal.path.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(InputError, match=r"journal\.jsonl is damaged: it has more than"):
        journal.entries()


def test_a_full_disk_leaves_whole_lines(journal):
    journal.append(kind="metrics", step=0, values={})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 10, hard))  # in the middle of a line
    try:
        with pytest.raises(RunError, match=r"the run cannot write .*journal\.jsonl \("):
            journal.append(kind="metrics", step=1, values={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert json.loads(journal.path.read_text())["step"] == 0  # one line
    journal.append(kind="metrics", step=2, values={})
    assert [entry["step"] for entry in journal.entries()] == [0, 2]


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"the run cannot write .*\(Not a directory\)"):
        Journal(tmp_path / "file").append(kind="metrics", step=0, values={})
