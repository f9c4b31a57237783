"""A tree of files as a board's kernel makes them, for tests of what reads it."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, files: dict[str, object]) -> Path:
    """Write values below `root`, a line each."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def orin(root: Path) -> Path:
    """Return a Jetson Orin: one INA3221, of which the third channel is switched off, zones, over-current counters."""
    meter, oc, thermal = "class/hwmon/hwmon4", "class/hwmon/hwmon2", "class/thermal"
    return write(
        root,
        {
            f"{meter}/name": "ina3221",
            f"{meter}/in1_label": "VDD_IN",
            f"{meter}/in1_enable": 1,
            f"{meter}/in1_input": 19_000,
            f"{meter}/curr1_input": 400,
            f"{meter}/in2_label": "VDD_CPU_GPU_CV",
            f"{meter}/in2_enable": 1,
            f"{meter}/in2_input": 19_000,
            f"{meter}/curr2_input": 100,
            f"{meter}/in3_label": "VDD_SOC",
            f"{meter}/in3_enable": 0,
            f"{meter}/in3_input": 19_000,
            f"{meter}/curr3_input": 100,
            f"{meter}/in7_label": "sum of shunt voltages",
            f"{meter}/in7_input": 300,
            f"{oc}/name": "soctherm_oc",
            f"{oc}/oc1_event_cnt": 2,
            f"{oc}/oc3_event_cnt": 0,
            f"{thermal}/thermal_zone0/type": "cpu-thermal",
            f"{thermal}/thermal_zone0/temp": 48_500,
            f"{thermal}/thermal_zone1/type": "cv0-thermal",  # switched off
            f"{thermal}/thermal_zone1/temp": -256_000,
            f"{thermal}/cooling_device0/type": "pwm-fan",
            f"{thermal}/cooling_device0/cur_state": 3,
            f"{thermal}/cooling_device1/type": "cpufreq-cpu0",
            f"{thermal}/cooling_device1/cur_state": 0,
        },
    )


def server(root: Path, *, energy_uj: int = 0) -> Path:
    """Return an x86 machine of two packages, whose counters wrap at 1 kJ, with a subzone and the same by MMIO."""
    cap, cpu = "class/powercap", "devices/system/cpu"
    files: dict[str, object] = {}
    for zone, name in (("0", "package-0"), ("1", "package-1"), ("0:0", "core")):
        files[f"{cap}/intel-rapl:{zone}/name"] = name
        files[f"{cap}/intel-rapl:{zone}/energy_uj"] = energy_uj
        files[f"{cap}/intel-rapl:{zone}/max_energy_range_uj"] = 999_999_999
    files[f"{cap}/intel-rapl-mmio:0/name"] = "package-0"
    files[f"{cap}/intel-rapl-mmio:0/energy_uj"] = energy_uj
    files[f"{cap}/intel-rapl-mmio:0/max_energy_range_uj"] = 999_999_999
    for number, (core, package) in enumerate([(3, 9), (4, 9)]):
        files[f"{cpu}/cpu{number}/thermal_throttle/core_throttle_count"] = core
        files[f"{cpu}/cpu{number}/thermal_throttle/package_throttle_count"] = package
    return write(root, files)
