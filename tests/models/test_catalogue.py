from sct_rootlets.models.catalogue import read_catalogue, suggest_name
from sct_rootlets.models.manifest import BUNDLED
from sct_rootlets.models.weights import bundled_weights


def test_the_catalogue_says_what_there_is():
    releases = read_catalogue()
    assert list(releases) == [BUNDLED, "rootletseg-r20250318", "rootletseg-r20240730"]
    assert releases[BUNDLED].version == bundled_weights().version
    for release in list(releases.values())[1:]:
        assert release.version in release.name
        assert all(url.startswith("https://") and f"/{release.version}/" in url for url in release.mirrors)
    assert all(one.licence and one.citation and one.contrasts and one.levels for one in releases.values())


def test_the_published_file_has_the_published_name():
    url = "https://mirror.example.org/model-spinal-rootlets-multicon-r20250318.zip?signature=abc"
    assert suggest_name(url) == "rootletseg-r20250318"
    assert suggest_name("C:\\models\\Our model (2).zip") == "Our-model-2"
    assert suggest_name("https://example.org/") == "example.org"
    assert suggest_name("/") == "custom"
