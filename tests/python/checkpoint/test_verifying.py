import shutil

from eisbach.checkpoint import verifying
from eisbach.checkpoint.verifying import verified


def test_sound_and_damaged_ones(runs, files):
    saved = runs(3, 4).saved()
    (file,) = files(saved[4])
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    sound, damaged = verified(list(saved.values()))
    assert sound.found.faults == []
    (line,) = sound.lines()
    assert line.startswith(f"{saved[3]}: sound, ")
    assert line.endswith(f" in 1 file, {sound.found.tensors} tensors")
    first, *rest = damaged.lines()
    assert first == f"{saved[4]}: DAMAGED"
    assert f"{file} is damaged: its xxh64 is" in rest[0]
    assert damaged.as_json()["faults"] == damaged.found.faults
    (saved[3] / "manifest.json").unlink()
    (fault,) = verified([saved[3]])[0].found.faults
    assert "manifest.json" in fault


def test_one_that_is_deleted_meanwhile_is_left_out(runs, monkeypatch):
    saved = runs(3, 4).saved()
    read = verifying._bytes_of

    def delete_first(path):
        found = read(path)
        shutil.rmtree(saved[3], ignore_errors=True)
        return found

    monkeypatch.setattr(verifying, "_bytes_of", delete_first)
    assert [one.path for one in verified(list(saved.values()))] == [saved[4]]
