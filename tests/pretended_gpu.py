"""A pretended ``cuda:0`` on a machine without one: what runs on a GPU alone runs in every test.

Its tensors say that they lie there and hold one of the host, with which the CPU's kernels compute. What CUDA refuses is
refused: tensors of both in one operation, the generator of one for the other, more than its memory holds, and, while a
graph is captured, all that waits for the device. A replay computes again what was captured, at the same addresses.

It pretends nothing of time: a kernel has ended when its call returns, and all streams are one. Nor does it know CUDA's
own kernels, composed operations that CUDA composes otherwise, or a device without its number ("cuda").
`install` changes torch for the whole process: call it in one that ends with the test.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Thread
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU, HOST = torch.device("cuda", 0), torch.device("cpu")
INSIDE = torch.device("meta")  # where torch's C++, which has no guard of CUDA's streams, takes the tensors to be

MIXED = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
CAPTURING = "CUDA error: operation not permitted when stream is capturing"
GENERATOR = "Expected a '{}' device type for generator but found '{}'"

COPIES = {"_to_copy", "copy_", "_foreach_copy_"}  # from one to the other
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}  # by indices on either
STRICT = {"cat", "stack", "_fused_adam_", "_fused_adamw_", "_fused_sgd_"}  # take no number of the host, either
READ = {  # back to the host: a value, or how many there are
    *("_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "bincount"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
}
# By https://docs.pytorch.org/docs/stable/amp.html, "CUDA Ops that can autocast".
LOWERED = {"conv1d", "conv2d", "conv_transpose2d", "linear", "matmul", "__matmul__", "mm", "bmm", "einsum", "addmm"}
RAISED = {
    *("exp", "log", "log1p", "pow", "__pow__", "softplus", "layer_norm", "group_norm", "norm", "cosine_similarity"),
    *("nll_loss", "cross_entropy", "binary_cross_entropy_with_logits", "smooth_l1_loss", "mse_loss", "l1_loss"),
    *("softmax", "log_softmax", "cumsum", "cumprod", "sum", "prod", "cdist", "reciprocal", "rsqrt", "kl_div"),
}


class Device:
    """The one there is: its memory, its generators, what waited for it and who asked, and the capture under way."""

    def __init__(self) -> None:
        self.total, self.used = 80_000_000_000, 0
        self.rooms: weakref.WeakValueDictionary[int, Room] = weakref.WeakValueDictionary()  # by address
        self.generators: set[int] = set()
        self.waits: Counter[str] = Counter()
        self.capture: list[tuple[Callable[[], Any], list[Any]]] | None = None

    def wait(self, why: str) -> None:
        if self.capture is not None:
            raise RuntimeError(f"{CAPTURING} ({why})")
        self.waits[" < ".join([why, *callers()])] += 1


class Room:
    """Memory that is given back with the last tensor in it."""

    def __init__(self, size: int) -> None:
        self.size = size
        DEVICE.used += size
        if DEVICE.used > DEVICE.total:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")

    @classmethod
    def of(cls, host: Tensor) -> Room:
        """That in which ``host`` lies, taken if it is new."""
        storage = host.untyped_storage()
        if (found := DEVICE.rooms.get(storage.data_ptr())) is None:
            found = DEVICE.rooms[storage.data_ptr()] = cls(storage.nbytes())
        return found

    def __del__(self) -> None:
        DEVICE.used -= self.size


DEVICE = Device()


def callers() -> Iterator[str]:
    """The functions of visrun that are being run, innermost first, as file:function."""
    frame: Any = sys._getframe()
    while frame is not None:
        if "/visrun/" in frame.f_code.co_filename:
            yield f"{frame.f_code.co_filename.split('/visrun/')[-1]}:{frame.f_code.co_name}"
        frame = frame.f_back


class OnDevice(Tensor):
    """A tensor on `GPU`; ``host`` has its values."""

    host: Tensor
    room: Room
    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @staticmethod
    def __new__(cls, host: Tensor) -> OnDevice:
        shape = (host.shape, host.stride(), host.storage_offset())
        made = Tensor._make_wrapper_subclass(cls, *shape, dtype=host.dtype, device=INSIDE)
        made.host, made.room = host, Room.of(host)
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(function, args, kwargs or {})

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(of_host(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(of_host(index), value)

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        device = None if device in (GPU, INSIDE) else device
        return super().to(device=device, dtype=dtype, non_blocking=non_blocking, memory_format=memory_format)

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=device or GPU, requires_grad=requires_grad)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first.")
        return self.detach().cpu().numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        copy.__dict__ |= {key: value for key, value in self.__dict__.items() if key == "_is_param"}
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.host.__reduce_ex__(protocol)

    def __repr__(self, **_: Any) -> str:
        return f"{self.host!r} on {GPU}"


def of_host(index: Any) -> Any:
    """A list in an index as the tensor that torch makes of it, which would lie where its C++ takes the device to be."""
    each = (torch.tensor(x) if isinstance(x, list) else x for x in (index if isinstance(index, tuple) else (index,)))
    return tuple(each)


class Pretending(TorchDispatchMode):
    """Makes tensors on the device where they are asked for, and sees those of the host."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(function, args, kwargs or {})


class Autocast(TorchFunctionMode):
    """Casts as `torch.autocast` on CUDA does, which sees none of these tensors."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if not torch.is_autocast_enabled("cuda") or name not in LOWERED | RAISED:
            return function(*args, **(kwargs or {}))
        dtype = torch.float32 if name in RAISED else torch.get_autocast_dtype("cuda")
        args, kwargs = tree_map_only(
            OnDevice,
            lambda x: x.to(dtype=dtype) if x.is_floating_point() and x.dtype != torch.float64 else x,
            (args, kwargs or {}),
        )
        return function(*args, **kwargs)


def computed(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What ``function`` gives: on the device where it is told so, or where an argument is there."""
    every = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    assert all(x.device != INSIDE for x in every), (
        f"{function}: a tensor of torch's C++, of which nothing is known here"
    )
    there = [x for x in every if isinstance(x, OnDevice)]
    where = kwargs.get("device") or (GPU if there else HOST)
    where = GPU if where == INSIDE else where
    if not there and where == HOST:
        return on_host(function, args, kwargs)
    name = function.overloadpacket.__name__
    require_one_device(name, args, every)
    for why in waits(name, args, kwargs, where):
        DEVICE.wait(why)
    if name == "_fused_sdp_choice":
        return 0  # plain products of matrices: what else a CPU chooses is not named alike
    args, kwargs = tree_map_only(OnDevice, lambda x: x.host, (args, kwargs))
    kwargs = {key: HOST if key == "device" else value for key, value in kwargs.items() if key != "pin_memory"}
    found = launched(function, args, kwargs)
    known = {id(x.host): x for x in there} | {id(x): x for x in every}  # what is changed in place comes back itself
    return tree_map_only(
        Tensor, lambda x: known[id(x)] if id(x) in known else OnDevice(x) if where == GPU else x, found
    )


def on_host(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """As ever, but that memory can be pinned."""
    if function is torch.ops.aten.is_pinned.default:
        return hasattr(args[0], "pinned")
    require_generator(kwargs, of_device=False)
    pinning = function is torch.ops.aten._pin_memory.default
    if not pinning and not kwargs.get("pin_memory"):
        return function(*args, **kwargs)
    made = args[0].clone() if pinning else function(*args, **{**kwargs, "pin_memory": False})
    made.pinned = True
    return made


def require_one_device(name: str, args: Any, every: list[Tensor]) -> None:
    """Refuse tensors of both, but for single numbers of the host and where it is allowed."""
    if name in INDEXED and isinstance(args[0], OnDevice):
        every = [x for x in (args[0], *args[2:3]) if isinstance(x, Tensor)]
    kinds = {isinstance(x, OnDevice) for x in every if x.ndim or name in STRICT or isinstance(x, OnDevice)}
    if len(kinds) == 2 and name not in COPIES:
        raise RuntimeError(f"{MIXED} (in {name})")


def require_generator(kwargs: dict[str, Any], *, of_device: bool) -> None:
    given = kwargs.get("generator")
    if given is not None and (given._cdata in DEVICE.generators) != of_device:
        raise RuntimeError(GENERATOR.format(*("cuda", "cpu")[:: 1 if of_device else -1]))


def waits(name: str, args: Any, kwargs: dict[str, Any], where: torch.device) -> Iterator[str]:
    """Why the host waits for the device here, if it does."""
    if name in READ or (name == "repeat_interleave" and kwargs.get("output_size") is None):
        yield name
    if name in INDEXED:
        indices = [x for x in tree_leaves(args[1]) if isinstance(x, Tensor)]
        if any(x.dtype == torch.bool for x in indices):
            yield "a mask as index"
        if not all(isinstance(x, OnDevice) for x in indices):
            yield "an index of the host"
    if name in ("_to_copy", "copy_"):
        source, to_device = (args[0], where == GPU) if name == "_to_copy" else (args[1], isinstance(args[0], OnDevice))
        at_once = kwargs.get("non_blocking") or args[2:] == (True,)
        if isinstance(source, OnDevice) and not to_device and not at_once:
            yield "a copy to the host"
        if not isinstance(source, OnDevice) and to_device and not (at_once and hasattr(source, "pinned")):
            yield "a copy from the host"


def launched(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The kernel's results; under a capture it is noted, and what it would change is as it was."""
    random = torch.Tag.nondeterministic_seeded in function.tags
    kernel = partial(drawn if random else run, function, args, kwargs)
    if DEVICE.capture is None:
        return kernel()
    tensors = {id(x): x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
    changes = function._schema.is_mutable or "batch_norm" in function.name()
    twins = {key: x.clone() if changes else x for key, x in tensors.items()}
    own = {id(twin): tensors[key] for key, twin in twins.items()}
    args, kwargs = tree_map_only(Tensor, lambda x: twins[id(x)], (args, kwargs))
    state = torch.cuda.default_generators[0].get_state()
    found = tree_map_only(Tensor, lambda x: own.get(id(x), x), kernel.func(function, args, kwargs))
    torch.cuda.default_generators[0].set_state(state)
    DEVICE.capture.append((kernel, tree_leaves(found)))
    return found


def run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def drawn(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """By the given generator, or the device's own, which draws what the host's would."""
    require_generator(kwargs, of_device=True)
    own, before = torch.cuda.default_generators[0], torch.get_rng_state()
    torch.set_rng_state(own.get_state())
    try:
        return function(*args, **kwargs)
    finally:
        own.set_state(torch.get_rng_state())
        torch.set_rng_state(before)


class Graph:
    """As `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.kernels: list[tuple[Callable[[], Any], list[Any]]] = []

    def replay(self) -> None:
        for kernel, results in self.kernels:
            for old, new in zip(results, tree_leaves(kernel()), strict=True):
                if isinstance(old, Tensor) and old.untyped_storage().data_ptr() != new.untyped_storage().data_ptr():
                    old.copy_(new)


@contextmanager
def capturing(graph: Graph, **_: Any) -> Iterator[None]:
    DEVICE.capture = graph.kernels
    try:
        yield
    finally:
        DEVICE.capture = None


class Generator(torch._C.Generator):
    """As `torch.Generator`, also of the device."""

    def __new__(cls, device: Any = HOST) -> Generator:
        made = super().__new__(cls, HOST)
        if torch.device(device).type == "cuda":
            DEVICE.generators.add(made._cdata)
        return made


def install(total: int = DEVICE.total) -> Device:
    """Let this process have the device, of ``total`` bytes."""
    DEVICE.total = total
    stream = SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: DEVICE.wait("synchronize"))
    properties = SimpleNamespace(name="pretended", major=9, minor=0, total_memory=total, multi_processor_count=1)
    for name, stand_in in {
        "_initialized": True,
        "_exchange_device": lambda index: 0,
        "_maybe_exchange_device": lambda index: 0,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "get_device_properties": lambda device=None: properties,
        "synchronize": lambda device=None: DEVICE.wait("synchronize"),
        "Stream": lambda device=None: stream,
        "current_stream": lambda device=None: stream,
        "set_stream": lambda stream: None,
        "stream": lambda stream: nullcontext(),
        "CUDAGraph": Graph,
        "graph": capturing,
        "graph_pool_handle": lambda: (0, 1),
        "is_current_stream_capturing": lambda: DEVICE.capture is not None,
        "empty_cache": lambda: None,
        "memory_allocated": lambda device=None: DEVICE.used,
        "memory_reserved": lambda device=None: DEVICE.used,
        "mem_get_info": lambda device=None: (DEVICE.total - DEVICE.used, DEVICE.total),
        "default_generators": (Generator(GPU),),
    }.items():
        assert hasattr(torch.cuda, name), name
        setattr(torch.cuda, name, stand_in)
    torch.cuda.random.device_count = torch.cuda.device_count  # it has its own name for it
    torch.Generator = Generator
    _let_torch_know()
    Pretending().__enter__()
    Autocast().__enter__()
    begin = Thread.run
    Thread.run = lambda thread: _pretending(begin, thread)
    return DEVICE


def _let_torch_know() -> None:
    """What torch asks of a tensor's type, or does in C++ with the device that it sees there."""
    torch._C._ensureCUDADeviceGuardSet()  # one that does nothing, in a torch that knows CUDA and finds no GPU
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` makes it on the host, then copies it
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # or it would change a parameter's C++ part alone
    for kinds in (optimizer._foreach_supported_types, _foreach_utils._foreach_supported_types):
        kinds.append(OnDevice)
    grouped, as_tensor = torch._C._group_tensors_by_device_and_dtype, torch.as_tensor
    torch._C._group_tensors_by_device_and_dtype = lambda *given: {
        (GPU if device == INSIDE else device, dtype): group for (device, dtype), group in grouped(*given).items()
    }
    torch.as_tensor = lambda data, dtype=None, device=None: as_tensor(data, dtype=dtype).to(device)


def _pretending(begin: Callable[[Thread], None], thread: Thread) -> None:
    """What a thread does; a mode stands for one alone."""
    with Pretending(), Autocast():
        begin(thread)
