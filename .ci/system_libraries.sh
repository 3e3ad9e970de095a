#!/usr/bin/env bash
# See that the system libraries which Qt, OpenGL and the virtual display need are there.
# Debian and Ubuntu as root: install what is missing. Elsewhere: say what is missing.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0

packages=(
    xvfb libgl1-mesa-dri libegl1 libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4
    libxcb-keysyms1 libxcb-shape0 libxcb-image0 libxcb-render-util0 libdbus-1-3
)

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && exit 0
    if [ "$(id -u)" -eq 0 ]; then
        echo "installing the system libraries ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
        exit 0
    fi
    echo "the window's tests need system libraries that are missing; as root, run:" >&2
    echo "    apt-get install ${missing[*]}" >&2
    exit 1
fi

# Another Linux: names of packages differ, names of libraries do not.
libraries=(
    libEGL.so.1 libGL.so.1 libxcb-cursor.so.0 libxkbcommon-x11.so.0 libxcb-icccm.so.4
    libxcb-keysyms.so.1 libxcb-shape.so.0 libxcb-image.so.0 libxcb-render-util.so.0
    libdbus-1.so.3
)
known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
missing=()
command -v Xvfb >/dev/null || missing+=(Xvfb)
for library in "${libraries[@]}"; do
    grep -qF "$library" <<<"$known" || missing+=("$library")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "the window's tests need what this system does not have: ${missing[*]}" >&2
echo "install it with your package manager, then run make test again" >&2
exit 1
