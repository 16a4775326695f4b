"""Several devices, on one host or on several, that share every batch.

The engine is ``keras.distribution``: every device holds all weights and computes its crops of the
batch, and JAX compiles one program for all of them. Its result is that of one device with the whole
batch, batch normalisation included, to rounding. ``keras.distribution`` has no other backend: its
part for TensorFlow is an unfinished prototype, and for torch there is none.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from zipfile import ZipFile

import keras
import numpy as np

from casapose_ros.errors import CasaposeError, ConfigError

MEETING_S = 1800
"""How long hosts wait for one another at the start; one may have to read its frames first."""
HEARTBEAT_S = 60
"""A host that has not been heard of for this long is given up, and with it the run."""
PARTING_S = 60
"""How long a host that is done, or has failed, waits for the others before it ends."""
HOST_IS_GONE = re.compile("gloo|nccl|unavailable|connection", re.IGNORECASE)
"""In the message of an error: the others cannot be reached, rather than that this host failed."""


@dataclass(frozen=True)
class Hosts:
    """The hosts of a run.

    Attributes:
        count: How many there are; each runs one process, which uses all its devices.
        index: Which of them this is, from 0; host 0 writes all files.
        coordinator: ``address:port`` of host 0, as the others reach it.
    """

    count: int = 1
    index: int = 0
    coordinator: str | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ConfigError(
                f"host {self.index} of {self.count}: hosts are numbered from 0 to their number - 1"
            )
        if self.count == 1:
            return
        address, _, port = (self.coordinator or "").rpartition(":")
        if not address or not port.isdigit():
            raise ConfigError(
                f"{self.count} hosts need the address of host 0 as ADDRESS:PORT, got "
                f"{self.coordinator!r}"
            )


def check_backend(hosts: Hosts) -> None:
    """Whether these hosts can train together.

    Raises:
        ConfigError: The backend cannot do it.
    """
    if hosts.count > 1 and keras.backend.backend() != "jax":
        raise ConfigError(
            f"training on {hosts.count} hosts needs the JAX backend (KERAS_BACKEND=jax), this is "
            f"{keras.backend.backend()}"
        )


def join_hosts(hosts: Hosts, patience_s: int = MEETING_S) -> None:
    """Wait until all hosts are here. Call it before anything is computed.

    Where not all others come in time, JAX ends the process of host 0.

    Args:
        hosts: The hosts; one alone has nothing to wait for.
        patience_s: How long to wait.

    Raises:
        ConfigError: The backend cannot do it.
        CasaposeError: Host 0 did not come.
    """
    if hosts.count == 1:
        return
    check_backend(hosts)
    import jax

    deadline = monotonic() + patience_s
    if hosts.index > 0:
        _wait_for_coordinator(hosts, deadline)
    jax.distributed.initialize(
        hosts.coordinator,
        hosts.count,
        hosts.index,
        initialization_timeout=max(int(deadline - monotonic()), 1),
        heartbeat_timeout_seconds=HEARTBEAT_S,
        shutdown_timeout_seconds=PARTING_S,
    )


def _wait_for_coordinator(hosts: Hosts, deadline: float) -> None:
    """Until host 0 can be reached: JAX kills a process that does not reach it in time."""
    address, _, port = hosts.coordinator.rpartition(":")
    while True:
        try:
            socket.create_connection((address.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if monotonic() > deadline:
                raise CasaposeError(
                    f"host {hosts.index} of {hosts.count}: nobody answers at {hosts.coordinator} "
                    f"({error}); start host 0 there, and let its port through the firewall"
                ) from error
            sleep(0.5)


class Devices:
    """All devices of all hosts, which share every batch.

    With one device, and on backends other than JAX, everything here does nothing.

    Args:
        batch_size: Crops in the whole batch.

    Attributes:
        count: Number of devices.
        hosts: Number of hosts.
        host: Index of this one.

    Raises:
        ConfigError: The batch cannot be shared out evenly.
    """

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self.count, self.hosts, self.host = 1, 1, 0
        self._distribution = None
        if keras.backend.backend() != "jax":
            return
        import jax

        self.count, self.hosts = jax.device_count(), jax.process_count()
        self.host = jax.process_index()
        per_host = Counter(device.process_index for device in jax.devices())
        if len(set(per_host.values())) > 1:
            raise ConfigError(
                f"hosts must have the same number of devices, they have {sorted(per_host.items())}"
                " (host, devices); hide some with CUDA_VISIBLE_DEVICES"
            )
        if batch_size % self.count:
            raise ConfigError(
                f"a batch_size of {batch_size} cannot be shared out to {self.count} devices; "
                "it must be a multiple of their number"
            )
        if self.count > 1:
            self._distribution = keras.distribution.DataParallel(auto_shard_dataset=False)

    @property
    def is_chief(self) -> bool:
        """Whether this is the host that writes files."""
        return self.host == 0

    @property
    def share(self) -> range:
        """Places in the batch that this host makes."""
        size = self.batch_size // self.hosts
        return range(self.host * size, (self.host + 1) * size)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is built in it is copied to all devices; steps taken in it are shared.

        Raises:
            CasaposeError: Another host is gone.
        """
        if self._distribution is None:
            yield
            return
        with self._distribution.scope():
            try:
                yield
            except CasaposeError:
                raise
            except (RuntimeError, ValueError) as error:  # JAX raises both
                if self.hosts == 1 or not HOST_IS_GONE.search(str(error)):
                    raise
                raise CasaposeError(
                    f"host {self.host} of {self.hosts}: another host seems to be gone; the last "
                    f"checkpoint is kept, start all hosts again with --resume ({error})"
                ) from error

    def check_same(self, what: str, text: str) -> None:
        """Make sure that all hosts say the same.

        Args:
            what: What it is, for the message.
            text: What this host says.

        Raises:
            ConfigError: They differ; on all hosts.
        """
        if self.hosts == 1:
            return
        from jax.experimental.multihost_utils import process_allgather

        digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        digests = np.asarray(process_allgather(digest))
        others = [i for i, other in enumerate(digests) if not np.array_equal(other, digests[0])]
        if others:
            raise ConfigError(f"host {others[0]} was started with other {what} than host 0")

    @contextmanager
    def folder_of_chief(self, path: Path | None) -> Iterator[Path | None]:
        """A folder of host 0, such as its checkpoint, on all hosts.

        Args:
            path: Of this host; only that of host 0 counts. None where there is none.

        Yields:
            The folder itself on host 0, a copy that goes away again on the others, or None.
        """
        if self.hosts == 1:
            yield path
            return
        content = self._from_chief(_packed(path) if self.is_chief and path is not None else b"")
        if self.is_chief or not content:
            yield path if self.is_chief else None
            return
        with TemporaryDirectory() as folder, ZipFile(BytesIO(content)) as archive:
            archive.extractall(folder)
            yield Path(folder)

    def _from_chief(self, content: bytes) -> bytes:
        from jax.experimental.multihost_utils import broadcast_one_to_all

        length = int(broadcast_one_to_all(np.int32(len(content))))
        buffer = np.frombuffer(content, np.uint8) if self.is_chief else np.zeros(length, np.uint8)
        return np.asarray(broadcast_one_to_all(buffer)).tobytes()


def _packed(folder: Path) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return stream.getvalue()


def local_value(variable: keras.Variable):
    """A copy of a variable's value on this host alone.

    Values of several hosts do not mix with a host's own in one operation, and the arrays that a
    step of training has read are gone after it.
    """
    if keras.backend.backend() != "jax":
        return variable.value
    return keras.ops.copy(variable.value.addressable_data(0))
