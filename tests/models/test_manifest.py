from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS, read_manifest


def test_every_network_of_the_bundled_model_is_in_the_manifest():
    files = read_manifest()["files"]
    assert {name.split("/")[0] for name in files} == set(NETWORKS)
    assert all((BUNDLED_FOLDER / name).is_file() for name in files)
