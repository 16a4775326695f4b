#!/usr/bin/env bash
# Sets up everything that `make demo` and `make test` need, once: .venv with the pinned packages
# (real ROS 2 among them), and .colcon with our messages and the packages of underlay/ built for it.
# A second run finds both up to date and returns at once. PYTHON chooses the interpreter.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
workspace=$root/.colcon

# Nothing of the caller's own ROS, Python or make may leak into the build.
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH COLCON_DEFAULTS_FILE LD_LIBRARY_PATH \
  MAKEFLAGS MFLAGS MAKELEVEL PYTHONHOME PYTHONPATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

say() { printf '[setup] %s\n' "$*"; }
fail() { printf '[setup] error: %s\n' "$*" >&2; exit 1; }

# The fingerprint of what a step depends on: the contents of some files, and this folder's place.
fingerprint() { { printf '%s\n' "$root"; sort -z | xargs -0 sha256sum; } | sha256sum; }
venv_inputs() { printf '%s\0' scripts/setup.sh scripts/fix_ros_wheels.py setup.py requirements/*.txt; }
workspace_inputs() {
  # The workspace links to the files in the folders at the end: only their names matter to it.
  find CMakeLists.txt package.xml msg underlay -type f -print0
  venv_inputs
}
workspace_fingerprint() {
  { workspace_inputs | fingerprint; find launch config models nodes -type f | sort; } | sha256sum
}
is_current() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.13 python3.10}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
      return
    fi
  done
}

# Prints the Debian packages that are missing, judged by what is there, not by who installed it.
missing_packages() {
  local python=$1 prefix=python3 libraries
  # A Debian interpreter that is not the default one has packages of its own.
  if [ -n "$python" ] && [ "$python" != "$(realpath /usr/bin/python3 2>/dev/null)" ]; then
    prefix=$(basename "$python")
  fi
  libraries=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
  [ -n "$python" ] || echo python3
  command -v g++ >/dev/null || echo g++
  command -v make >/dev/null || echo make
  command -v cmake >/dev/null || echo cmake
  "${python:-false}" -c 'import ensurepip, venv' 2>/dev/null || echo "$prefix-venv"
  "${python:-false}" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    echo "$prefix-dev"
  # Software OpenGL for the renderer, unless a graphics card's own driver is there.
  grep -q 'libEGL\.so\.1 ' <<<"$libraries" || echo libegl1
  grep -q 'libGL\.so\.1 ' <<<"$libraries" || echo libgl1
  if ! grep -q 'libEGL_nvidia\.so' <<<"$libraries"; then
    grep -q 'libEGL_mesa\.so' <<<"$libraries" || echo libegl-mesa0
    compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || echo libgl1-mesa-dri
  fi
}

install_packages() {
  local -a packages=("$@") as_root=()
  local -a install=(apt-get install -y --no-install-recommends "${packages[@]}")
  if ! command -v apt-get >/dev/null; then
    fail "these are missing (Debian names; install your system's equivalents): ${packages[*]}"
  fi
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "packages are missing; please type this, then try again:
    sudo apt-get update && sudo ${install[*]}"
    as_root=(sudo -n)
  fi
  say "installing Debian packages: ${packages[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" -q
}

prepare_system() {
  [ "$(uname -sm)" = "Linux x86_64" ] || fail "ROS 2 comes as wheels for Linux on x86-64 only;" \
    "on $(uname -sm), build this package in a ROS 2 workspace instead (see the README)"
  local python missing
  python=$(find_python)
  if [ -z "$python" ] && { [ -n "${PYTHON:-}" ] || command -v python3 >/dev/null; }; then
    fail "Python 3.10, 3.11, 3.12 or 3.13 is needed, but ${PYTHON:-python3} is" \
      "$("${PYTHON:-python3}" --version 2>&1); install one of them and name it: make PYTHON=python3.12"
  fi
  missing=$(missing_packages "$python")
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # one word per package
    install_packages $missing
  fi
}

build_venv() {
  local python
  python=$(find_python)
  [ -n "$python" ] || fail "Python 3.10, 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=..."
  # A folder that was moved or copied holds scripts that point to where it was.
  if ! grep -qsF "$venv" "$venv/bin/activate" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    say "creating .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
  fi
  say "installing the pinned Python packages (2 GB; about a minute)"
  # One of them has no wheel; the pinned setuptools builds it, and the link to our own package.
  local -a pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps)
  grep -E '^(setuptools|wheel)==' requirements/lock.txt | "${pip[@]}" -r /dev/stdin
  "${pip[@]}" --no-build-isolation --use-pep517 -r requirements/lock.txt
  PYTHONWARNINGS=ignore "${pip[@]}" --no-build-isolation --editable .
  "$venv/bin/python" scripts/fix_ros_wheels.py
  rm -rf "$workspace/build" "$workspace/.state"
}

# Packages appear in the workspace as links. Ours is a folder of links, because CMake refuses to
# export include folders that lie below a package's source folder, and .venv is below the root.
link_sources() {
  local path
  rm -rf "$workspace/src"
  mkdir -p "$workspace/src/casapose_ros"
  for path in underlay/*/; do
    ln -s "$root/$path" "$workspace/src/$(basename "$path")"
  done
  for path in CMakeLists.txt package.xml casapose_ros msg nodes launch config models; do
    ln -s "$root/$path" "$workspace/src/casapose_ros/$path"
  done
}

build_workspace() {
  say "building the ROS messages (about half a minute; log: .colcon/build.log)"
  # The compiled objects in build/ are kept; what is no longer installed has to go.
  rm -rf "$workspace/install"
  link_sources
  cd "$workspace"
  PATH=$venv/bin:$PATH VIRTUAL_ENV=$venv AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv \
    COLCON_HOME=$workspace/home colcon build --merge-install --symlink-install --cmake-args \
    --no-warn-unused-cli -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$venv/bin/python" \
    >build.log 2>&1 || { tail -n 40 build.log >&2; fail "colcon build failed"; }
  cd "$root"
}

mkdir -p "$workspace"
exec 9>"$workspace/lock"
flock 9

venv_state=$(venv_inputs | fingerprint)
if ! is_current "$venv/.state" "$venv_state"; then
  prepare_system
  build_venv
  echo "$venv_state" >"$venv/.state"
fi
workspace_state=$(workspace_fingerprint)
if ! is_current "$workspace/.state" "$workspace_state"; then
  build_workspace
  echo "$workspace_state" >"$workspace/.state"
fi
