from sct_rootlets.sct import status

LINKED = ("discs", "rootlets_cord", "rootlets_roots", "spinal_levels", "vertebral_levels")


def test_status_names_what_is_linked_where_and_the_weights(miniature):
    before = miniature.run("sct_rootlets", "status").stdout
    assert "tasks: none (not linked: sct_rootlets link)" in before
    miniature.run("sct_rootlets", "link")
    shown = miniature.run("sct_rootlets", "status").stdout
    for text in (
        "sct_rootlets 9.9",
        f"Spinal Cord Toolbox 7.9 in {miniature.folder}",
        f"tasks: {', '.join(LINKED)}",
        str(miniature.site_packages / "sct_rootlets_link.pth"),
        str(miniature.folder / "bin" / "sct_compute_spinal_levels"),
        "sct_deepseg: of SCT",
        "weights: sct_rootlets synthetic",
    ):
        assert text in shown


def test_status_tells_of_damaged_weights(monkeypatch, tmp_path):
    for module in ("models.manifest", "sct.status"):
        monkeypatch.setattr(f"sct_rootlets.{module}.BUNDLED_FOLDER", tmp_path)
    assert status._weights() == f"those in {tmp_path} are damaged; install sct_rootlets again"


def test_status_names_installed_weights(monkeypatch, tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "current.json").write_text("{}")
    monkeypatch.setenv("SCT_ROOTLETS_MODELS", str(tmp_path))
    assert status._weights().endswith("; ours, installed")


def test_nnunet_over_the_fork_of_sct_is_reported(miniature):
    for name in ("nnunetv2", "nnunetv2_neuropoly"):
        info = miniature.site_packages / f"{name}-2.6.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.6\n")
        shown = miniature.run("sct_rootlets", "status").stdout
        assert ("over nnunetv2-neuropoly" in shown) == (name == "nnunetv2_neuropoly")


def test_status_without_sct_informs(monkeypatch, capsys):
    from sct_rootlets.cli.status import main
    from sct_rootlets.errors import LinkError
    from sct_rootlets.sct import installation

    def nowhere(_):
        raise LinkError("no Spinal Cord Toolbox is found here")

    monkeypatch.setattr(installation, "find_toolbox", nowhere)
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "Spinal Cord Toolbox: not linked (" in printed
    assert "weights: sct_rootlets synthetic" in printed
    assert main(["-sct-dir", "/nowhere"]) == 1
