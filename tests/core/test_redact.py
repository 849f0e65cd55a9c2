"""Known secrets are struck from every text, however JSON spells them."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor.core.redact import mask, redact, without_token

SALT = bytes(range(32))
TOKEN = "ark_live_0123456789abcdef"

secrets = st.text(
    alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=16, max_size=24
)


def test_a_secret_is_replaced_wherever_it_stands() -> None:
    text = f'{{"a":"Bearer {TOKEN}","b":["{TOKEN}{TOKEN}"]}}'
    clean = redact(text, {TOKEN}, SALT)
    assert TOKEN not in clean
    assert clean.count(mask(TOKEN, SALT)) == 3
    assert json.loads(clean)["a"] == f"Bearer {mask(TOKEN, SALT)}"


@pytest.mark.parametrize("secret", ['pass"word\\with/all\nof them', "pässwörd/größer als 16"])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("slashes", [True, False])
def test_the_spellings_of_json_are_known(secret: str, ascii_only: bool, slashes: bool) -> None:
    text = json.dumps({"echo": secret}, ensure_ascii=ascii_only)
    if slashes and not ascii_only:
        text = text.replace("/", "\\/")
    assert json.loads(redact(text, {secret}, SALT)) == {"echo": mask(secret, SALT)}


@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    clean = redact(json.dumps({before: secret, "x": after + secret}), {secret}, SALT)
    assert json.dumps(secret)[1:-1] not in clean
    assert redact(clean, {secret}, SALT) == clean


def test_a_short_secret_is_not_looked_for() -> None:
    fifteen, sixteen = "x" * 15, "y" * 16
    text = f"{fifteen} {sixteen}"
    assert redact(text, {fifteen, sixteen, ""}, SALT) == f"{fifteen} {mask(sixteen, SALT)}"


def test_of_two_secrets_of_which_one_begins_the_other_no_rest_stays() -> None:
    longer = TOKEN + "-and-more"
    texts = {
        redact(f"{longer} {TOKEN}", order, SALT) for order in ([TOKEN, longer], [longer, TOKEN])
    }
    assert texts == {f"{mask(longer, SALT)} {mask(TOKEN, SALT)}"}


def test_the_same_text_in_every_process() -> None:
    """Events are compared after this, so it may not depend on the order in a set."""
    many = [TOKEN[cut:] + TOKEN[:cut] for cut in range(8)] + [TOKEN * 2, TOKEN + TOKEN[:8]]
    text = " ".join([TOKEN * 3, *many])
    first = redact(text, many, SALT)
    for seed in range(20):
        random.Random(seed).shuffle(many)
        assert redact(text, many, SALT) == first


def test_a_text_without_secrets_is_the_very_same() -> None:
    text = "nothing here"
    assert redact(text, {TOKEN}, SALT) is text


def test_a_mask_is_of_this_secret_and_this_store() -> None:
    assert mask(TOKEN, SALT) == mask(TOKEN, SALT)
    assert len({mask(TOKEN, SALT), mask(TOKEN, b"other"), mask(TOKEN + "0", SALT)}) == 3


def test_a_configs_token_is_masked_whatever_its_length() -> None:
    source = {"type": "blob", "url": "https://host/a", "token": "ab"}
    config = {"model": "m", "datasetSource": source, "maxSteps": 5}
    assert without_token(config, SALT) == {
        "model": "m",
        "datasetSource": {"type": "blob", "url": "https://host/a", "token": mask("ab", SALT)},
        "maxSteps": 5,
    }
    assert source["token"] == "ab"


@pytest.mark.parametrize(
    "config",
    [{}, {"datasetSource": None}, {"datasetSource": "x"}, {"datasetSource": {"token": ""}}],
)
def test_a_config_without_a_token_stays_as_it_is(config: dict[str, object]) -> None:
    assert without_token(config, SALT) == config
