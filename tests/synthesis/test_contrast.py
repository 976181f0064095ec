import numpy as np
import pytest

from sct_rootlets.synthesis.contrast import PROTOCOLS, Tissue, mp2rage_signal, random_contrast, t2w_signal


def simulated_mp2rage(t1, density, settings, cycles=40):
    """Longitudinal magnetisation followed pulse by pulse until it repeats: no formula for the steady state."""
    echo, n = settings["echo_spacing_ms"], settings["excitations"]
    half = n * echo / 2
    waits = (
        settings["inversion_ms"][0] - half,
        settings["inversion_ms"][1] - settings["inversion_ms"][0] - 2 * half,
        settings["repetition_ms"] - settings["inversion_ms"][1] - half,
    )

    def relaxed(m, time):
        return 1 - (1 - m) * np.exp(-time / t1)

    m, signals = 1.0, [0.0, 0.0]
    for _ in range(cycles):
        m = relaxed(-settings["efficiency"] * m, waits[0])
        for readout, wait in ((0, waits[1]), (1, waits[2])):
            flip = np.radians(settings["flip_deg"][readout])
            for pulse in range(n):
                if pulse == n // 2 - 1 + readout:  # the centre of k-space, before the pulse
                    signals[readout] = np.sin(flip) * m
                m = relaxed(m * np.cos(flip), echo)
            m = relaxed(m, wait)
    return density * np.array(signals)


@pytest.mark.parametrize("tissue", [Tissue.CSF, Tissue.WHITE, Tissue.FAT])
def test_mp2rage_equations_agree_with_a_simulation(tissue):
    from sct_rootlets.synthesis.contrast import _T1_MS_AT_7T, _T1_T2_DENSITY_AT_3T

    settings = {
        "repetition_ms": 5000,
        "inversion_ms": (700, 2400),
        "flip_deg": (4, 5),
        "echo_spacing_ms": 6.9,
        "excitations": 150,
        "efficiency": 0.96,
    }
    one, two = mp2rage_signal(**settings)
    expected = simulated_mp2rage(_T1_MS_AT_7T[tissue], _T1_T2_DENSITY_AT_3T[tissue][2], settings)
    np.testing.assert_allclose([one[tissue], two[tissue]], expected, rtol=0.02, atol=2e-4)


def test_fluid_is_bright_in_t2w_and_dark_in_uni():
    t2w = t2w_signal(2000, 110)
    assert t2w[Tissue.CSF] > 1.4 * t2w[Tissue.WHITE]
    assert t2w[Tissue.GREY] > t2w[Tissue.WHITE]
    one, two = (signal[[Tissue.CSF, Tissue.WHITE]] for signal in mp2rage_signal())
    uni = one * two / (one**2 + two**2)
    assert uni[0] < 0 < uni[1]


def test_readouts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        mp2rage_signal(inversion_ms=(400, 2400))


@pytest.mark.parametrize("contrast", PROTOCOLS)
def test_signals_are_drawn_again_from_the_same_state(contrast):
    first, second = (PROTOCOLS[contrast].draw_signals(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() <= 1
    assert first.shape == (2 if contrast == "UNIT1" else 1, len(Tissue))


def test_contrasts_are_drawn_as_often_as_their_shares_say():
    rng = np.random.default_rng(0)
    drawn = [random_contrast(rng) for _ in range(2000)]
    for name, protocol in PROTOCOLS.items():
        assert drawn.count(name) / 2000 == pytest.approx(protocol.share, abs=0.04)


def test_rootlets_always_differ_from_the_fluid():
    for seed in range(200):
        (signal,) = PROTOCOLS["random"].draw_signals(np.random.default_rng(seed))
        assert abs(signal[Tissue.WHITE] - signal[Tissue.CSF]) > 0.2
