"""One bit flipped at random offsets of a journal; scripts/soak does it at 500 of them."""

from pathlib import Path

from bitflips import flip_bits, make_journal


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store" / "arkor.db"
    make_journal(path)
    flips = list(flip_bits(path, path.parent, count=40, seed=1))
    assert [flip for flip in flips if flip.wrong] == []
    assert {flip.outcome for flip in flips} >= {"found"}
