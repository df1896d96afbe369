import pytest

from wellposed import doctor
from wellposed.cli import main
from wellposed.errors import UserError


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_any_opengl_the_machine_is_still_fit(monkeypatch):
    monkeypatch.setattr(doctor.rendering, "probe_backend", lambda _: "not here")
    findings = {f.name: f for f in doctor.examine()}
    assert findings["rendered frame"].status == "warns"
    assert "apt-get install" in findings["rendered frame"].evidence
    assert all(f.status == "holds" for name, f in findings.items() if name not in doctor.OPTIONAL)


def test_without_a_gpu_it_says_so_in_a_sentence(monkeypatch, tmp_path, capsys):
    cpu = doctor.jax.local_devices(backend="cpu")
    monkeypatch.setattr(doctor.jax, "devices", lambda: cpu)
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "nothing")
    assert main(["doctor", "--gpu"]) == 1
    assert "There is no NVIDIA GPU here, or its driver is not installed." in capsys.readouterr().err
    monkeypatch.setattr(doctor, "DRIVER", tmp_path)
    assert main(["doctor", "--gpu"]) == 1
    assert "JAX was installed without CUDA. Run: EXTRAS=dev,cuda make setup" in capsys.readouterr().err


def test_a_gpu_that_computes_wrong_or_draws_in_software_is_found(monkeypatch):
    monkeypatch.setattr(doctor, "_gpu", lambda: doctor.jax.devices()[0])
    assert "is off by at most" in doctor._gpu_computes()
    monkeypatch.setattr(doctor.jax, "jit", lambda _: lambda x: x @ x + 5)
    with pytest.raises(UserError, match="is off by"):
        doctor._gpu_computes()
    monkeypatch.setattr(doctor.rendering, "probe_backend", lambda _: None)
    monkeypatch.setattr(doctor.rendering, "egl_device", lambda: "Mesa llvmpipe")
    with pytest.raises(UserError, match="renders by Mesa llvmpipe instead of the GPU"):
        doctor._gpu_renders()
    monkeypatch.setattr(doctor.rendering, "egl_device", lambda: "NVIDIA Corporation NVIDIA H100")
    assert doctor._gpu_renders() == "EGL renders by NVIDIA Corporation NVIDIA H100"
