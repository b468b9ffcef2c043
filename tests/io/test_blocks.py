import threading

import numpy as np
import pytest

from mediagen.errors import StoreError
from mediagen.io.blocks import BlockFiles, decode, encode, is_cache, records

SETTING = "0123456789abcdef"


def name(n: int) -> str:
    return f"{n}_-{n}_{n:032x}.block"


def block(n: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (side, 2 * side, 3), dtype=np.uint8)


def test_a_block_comes_back(tmp_path):
    files = BlockFiles(tmp_path / "cache", 10**6)
    files.write(SETTING, name(1), block(1))
    np.testing.assert_array_equal(files.read(SETTING, name(1)), block(1))
    again = BlockFiles(tmp_path / "cache", 10**6)
    np.testing.assert_array_equal(again.read(SETTING, name(1)), block(1))
    assert again.names(SETTING) == [name(1)]
    assert again.bytes == files.bytes > 0
    assert again.read(SETTING, name(2)) is None
    assert again.read("f" * 16, name(1)) is None


def test_any_damage_is_noticed():
    whole = encode(block(3, 8))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        found = decode(bytes(damaged))
        assert found is None, place
    for length in range(len(whole)):
        assert decode(whole[:length]) is None


def test_a_damaged_file_is_deleted_and_forgotten(tmp_path):
    files = BlockFiles(tmp_path / "cache", 10**6)
    files.write(SETTING, name(1), block(1))
    path = tmp_path / "cache" / SETTING / name(1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert files.read(SETTING, name(1)) is None
    assert not path.exists()
    assert files.bytes == 0


def test_the_longest_unused_make_room(tmp_path):
    size = len(encode(block(0)))
    files = BlockFiles(tmp_path / "cache", int(3.5 * size))
    for n in (1, 2, 3):
        files.write(SETTING, name(n), block(n))
    assert files.read(SETTING, name(1)) is not None
    files.write(SETTING, name(4), block(4))
    assert [files.read(SETTING, name(n)) is not None for n in (1, 2, 3, 4)] == [True, False, True, True]
    assert files.bytes <= files.limit
    assert len(list((tmp_path / "cache" / SETTING).glob("*.block"))) == 3


def test_another_process_s_blocks_are_found_and_its_removals_borne(tmp_path):
    ours, theirs = BlockFiles(tmp_path / "cache", 10**6), BlockFiles(tmp_path / "cache", 10**6)
    theirs.write(SETTING, name(1), block(1))
    np.testing.assert_array_equal(ours.read(SETTING, name(1)), block(1))
    (tmp_path / "cache" / SETTING / name(1)).unlink()
    assert ours.read(SETTING, name(1)) is None
    assert ours.bytes == 0


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(StoreError, match="no folder of painted blocks"):
        BlockFiles(tmp_path, 10**6)
    with pytest.raises(StoreError, match="no folder of painted blocks"):
        BlockFiles(tmp_path / "mine.txt", 10**6)
    assert not is_cache(tmp_path)


def test_only_files_of_ours_are_counted_and_removed(tmp_path):
    files = BlockFiles(tmp_path / "cache", 1)
    foreign = tmp_path / "cache" / SETTING / "notes.txt"
    foreign.parent.mkdir()
    foreign.write_text("precious")
    again = BlockFiles(tmp_path / "cache", 1)
    again.write(SETTING, name(1), block(1))
    again.write(SETTING, name(2), block(2))
    assert foreign.read_text() == "precious"
    assert files.folder.exists()
    assert again.names(SETTING) == [name(2)]


def test_records_are_read_and_damaged_ones_passed_over(tmp_path):
    files = BlockFiles(tmp_path / "cache", 10**6)
    files.describe(SETTING, {"precision": "bf16"})
    (tmp_path / "cache" / ("a" * 16)).mkdir()
    (tmp_path / "cache" / ("a" * 16) / "record.json").write_text("{")
    assert records(tmp_path / "cache") == [{"precision": "bf16"}]
    assert records(tmp_path / "nowhere") == []


def test_many_threads_at_once(tmp_path):
    files = BlockFiles(tmp_path / "cache", 6 * len(encode(block(0))))

    def work(start: int) -> None:
        for n in range(start, start + 20):
            files.write(SETTING, name(n % 12), block(n % 12))
            found = files.read(SETTING, name((n + 3) % 12))
            assert found is None or (found == block((n + 3) % 12)).all()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = list((tmp_path / "cache" / SETTING).iterdir())
    assert sum(path.stat().st_size for path in there) == files.bytes <= files.limit
