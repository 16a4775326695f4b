"""OpenGL without a window, on a graphics card or in software (Mesa's llvmpipe), through EGL."""

from __future__ import annotations

import ctypes
import glob
import os

import moderngl

from casapose_ros.errors import RenderError

EGL_HELP = (
    "OpenGL through EGL is not available ({reason}); "
    "without a GPU: sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri"
)
MESA = "libEGL_mesa.so.0"
MESA_DRIVERS = ("/usr/lib/*/dri/swrast_dri.so", "/usr/lib*/dri/swrast_dri.so")
"""Where Mesa before 24.2 keeps its software driver; later versions link it to ``MESA``."""


def create_context() -> moderngl.Context:
    """A context of its own, without a surface.

    In a process that uses TensorFlow too, import that first: software drivers built on LLVM 15
    (Debian 12, Ubuntu 22.04) make a later import of TensorFlow crash, whatever we do here.

    Raises:
        RenderError: There is no EGL or no driver for it.
    """
    _load_software_driver()
    try:
        return moderngl.create_context(standalone=True, backend="egl")
    except Exception as error:  # glcontext raises bare Exception, and ImportError without libEGL
        raise RenderError(EGL_HELP.format(reason=error)) from error


def device_name() -> str:
    """What OpenGL runs on, in its own words: a graphics card, or Mesa's ``llvmpipe``."""
    context = create_context()
    try:
        return context.info["GL_RENDERER"]
    finally:
        context.release()


def _load_software_driver() -> None:
    """Load Mesa, where it is installed, so that it finds its own LLVM before anybody else's.

    TensorFlow offers its copy of LLVM to the whole process. A software driver loaded after it
    calls that copy instead of the one it was built for, and crashes. RTLD_DEEPBIND makes a
    library look among its own dependencies first.
    """
    drivers = (path for pattern in MESA_DRIVERS for path in glob.glob(pattern))
    for library in (MESA, *drivers):
        try:
            ctypes.CDLL(library, mode=os.RTLD_NOW | os.RTLD_DEEPBIND)
        except OSError:  # not installed: a graphics card's own driver will do
            continue
