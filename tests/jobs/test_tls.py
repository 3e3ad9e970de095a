"""A scheduler that asks for certificates: with them jobs run, without them nothing does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import dask
import distributed  # noqa: F401  before dask.config.set, or its defaults go with ours
import pytest

from napari_spacegroup.errors import SchedulerLostError
from napari_spacegroup.jobs import Done, Task
from napari_spacegroup.jobs.dask_executor import DaskExecutor

SUBJECT = "/CN=napari-spacegroup test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One self-signed certificate that scheduler, worker and client show and trust."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the program openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", SUBJECT,
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


@pytest.fixture(scope="module")
def tls_scheduler(certificate, tmp_path_factory):
    key, cert = certificate
    options = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
    file = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "tls://127.0.0.1",
               "--port", "0", "--no-dashboard", "--scheduler-file", file, *options]  # fmt: skip
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", file,
              "--nthreads", "1", "--no-dashboard", "--no-nanny", *options]  # fmt: skip
    started = [subprocess.Popen(command, stderr=subprocess.DEVNULL)]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        started.append(subprocess.Popen(worker, stderr=subprocess.DEVNULL))
        time.sleep(0.2)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def tls_configuration(key, cert):
    tls = "distributed.comm.tls"
    return {
        f"{tls}.ca-file": str(cert),
        f"{tls}.client.cert": str(cert),
        f"{tls}.client.key": str(key),
        "distributed.comm.require-encryption": True,
    }


def test_a_job_runs_over_tls_with_the_users_configuration(tls_scheduler, certificate, toys):
    assert tls_scheduler.startswith("tls://")
    with dask.config.set(tls_configuration(*certificate)):
        executor = DaskExecutor(tls_scheduler)
        try:
            *_, last = executor.run(Task(toys.count, (3,)))
        finally:
            executor.close()
    assert isinstance(last, Done)


@pytest.mark.parametrize(
    ("scheme", "words"), [("tls://", "name the certificates"), ("tcp://", "no dask scheduler at")]
)
def test_without_a_certificate_nobody_gets_in(tls_scheduler, scheme, words, monkeypatch):
    monkeypatch.setattr("napari_spacegroup.jobs.dask_executor.CONNECT_SECONDS", 2.0)
    executor = DaskExecutor(tls_scheduler.replace("tls://", scheme))
    with pytest.raises(SchedulerLostError, match=words):
        executor.open()
    executor.close()
