from wellposed import doctor
from wellposed.cli import main


def test_this_machine_is_examined(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name in (
        "versions",
        "devices",
        "OpenGL egl",
        "rendered frame",
        "physics determinism",
        "training and checkpoint",
    ):
        assert name in out


def test_a_required_failure_makes_the_machine_unfit_and_the_others_are_still_told(monkeypatch, capsys):
    def broken():
        raise RuntimeError("the bits differ")

    monkeypatch.setattr(doctor, "_determinism", broken)
    monkeypatch.setattr(doctor, "_training", lambda: "skipped")
    assert main(["doctor", "--json"]) == 1
    import json

    data = json.loads(capsys.readouterr().out)
    failed = [f for f in data["findings"] if not f["ok"] and f["required"]]
    assert [f["detail"] for f in failed] == ["the bits differ"]
    assert not data["fit"]
    assert len(data["findings"]) == 9


def test_without_any_opengl_the_machine_is_still_fit(monkeypatch):
    monkeypatch.setattr(doctor.rendering, "probe_backend", lambda _: "not here")
    findings = {f.name: f for f in doctor.examine()}
    assert findings["rendered frame"].status == "warns"
    assert "apt-get install" in findings["rendered frame"].evidence
    assert all(f.status == "holds" for name, f in findings.items() if name not in doctor.OPTIONAL)
