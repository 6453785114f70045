"""What may be printed as a name, and which names look alike."""

import pytest

from approvals import names

GOOD = [
    "Ann", "José Müller", "O’Neill", "Jean-Luc P. d'Arc", "Анна Каренина", "Ελένη", "山田 太郎", "ヤマダ・タロウ",
    "محمد علي", "علی\u200cرضا", "शर्मा", "क्\u200dष", "Nguyễn Văn Ân", "김민준", "Ann 2", "צ׳רלי", "Բագրատ",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names_of_all_scripts_may_be_printed(name: str) -> None:
    assert names.why_not(names.tidy(name)) == ""


UNSEEN = [10, 0x1B, 0x7F, 0xAD, 0x34F, 0x115F, 0x200B, 0x200C, 0x202E, 0x2028, 0x2066, 0x2800, 0x3164, 0xFE0F, 0xFEFF]
FILLERS = [0x2D7F, 0x16FE4, 0x1BC9D]
NO_PART = [0x20DD, 0xE000, 0x1F600, 0xE0041, 0xE0100, *map(ord, "();:<@/&")]


@pytest.mark.parametrize("sign", [*UNSEEN, *FILLERS, *NO_PART])
def test_what_shows_nothing_or_is_no_part_of_a_name_may_not(sign: int) -> None:
    assert names.why_not(names.tidy(f"Abe{chr(sign)}Osei"))


def test_a_name_has_letters() -> None:
    assert names.why_not("12") and names.why_not("-")


def test_a_joiner_stands_where_it_changes_a_shape() -> None:
    assert names.why_not("Abe\u200dOsei") and names.why_not("Abe\u200c") and names.why_not("\u200cعلی")


def test_spaces_and_compatibility_forms_are_written_plainly() -> None:
    assert names.tidy("  Ａbe\u00a0\u3000  Osei ") == "Abe Osei"


@pytest.mark.parametrize("name", ["\u0410be Osei", "Abe Os\u0435i", "\u0391be", "ann\u3164"])
def test_a_word_is_written_in_one_alphabet(name: str) -> None:
    assert names.mixed(name) and not names.mixed("Abe Осей") and not names.mixed("山田たろう")


LOOK = [
    ("Abe Osei", "ABE OSEI"), ("Abe Osei", "Abe  Osei"), ("Abe", "Ａｂｅ"), ("Cosa", "\u0421\u043e\u0455\u0430"),
    ("Ilan", "llan"), ("Ilan", "1lan"), ("Otto", "0tto"), ("O'Hara", "O’Hara"), ("Arno", "Amo"), ("Ari-Ben", "Ari‐Ben"),
    ("ANN", "\ua4ee\ua4e0\ua4e0"), ("ILY", "\ua4f2\ua4e1\ua4ec"), ("AMY", "\u13aa\u13b7\u13a9"),
    ("Amy", "\u13aa\uab87\uab79"),
    ("Ann", "An\u0274"), ("Ila", "\u026ala"), ("Oto", "\u039fto"), ("AIN", "\u0410\u0406N"),
    ("Ann", "An\u200bn"), ("Ann", "Ann\u115f"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), LOOK)
def test_these_look_alike(one: str, other: str) -> None:
    assert names.looks(one) & names.looks(other)


@pytest.mark.parametrize(
    "name",
    [
        "system",
        "\u0455\u0443\u0455\u0442\u0435\u043c",
        "SYSTEM",
        "The System",
        "s\u0443stem",
        "syste\u1d0d",
        "unknown  account",
        "unknown.account",
        "Anonymous",
        "guarded-rollout",
    ],
)
def test_a_name_that_the_history_prints_for_nobody_is_refused(name: str) -> None:
    assert names.reserved(name)


@pytest.mark.parametrize("name", ["Sistema", "Ann System", "Roll", "ᏣᎳᎩ"])
def test_other_names_are_not_ours(name: str) -> None:
    assert not names.reserved(name)


@pytest.mark.parametrize(("one", "other"), [("Ann", "Anna"), ("Jose", "José"), ("Мария", "Марина"), ("Abe", "Ade")])
def test_these_do_not(one: str, other: str) -> None:
    assert not names.looks(one) & names.looks(other)
