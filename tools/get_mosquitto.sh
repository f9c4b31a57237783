#!/bin/sh
# Make sure that the tests have mosquitto, and print the path of the program (empty: none can be had).
# The one on PATH or in /usr/sbin; else apt-get when root; else the packages unpacked into .cache/mosquitto.
# EDGESNN_UNPACK_MOSQUITTO=1 takes the last way in any case. Messages go to standard error.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
cache="$(cd "$(dirname "$0")/.." && pwd)/.cache/mosquitto"
program="$cache/mosquitto"

if [ -z "$EDGESNN_UNPACK_MOSQUITTO" ] && found=$(command -v mosquitto); then
    echo "$found"
    exit 0
fi
if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "mosquitto: not installed, and there is no apt-get; broker tests use amqtt" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ] && [ -z "$EDGESNN_UNPACK_MOSQUITTO" ]; then
    echo "$ apt-get update && apt-get install -y mosquitto mosquitto-clients" >&2
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mosquitto mosquitto-clients; } \
        >/dev/null 2>&1 || echo "mosquitto: apt-get could not install it; broker tests use amqtt" >&2
    command -v mosquitto
    exit 0
fi
echo "$ apt-get download mosquitto (unpacked into .cache/mosquitto)" >&2
mkdir -p "$cache/packages" "$cache/root" && cd "$cache/packages" || exit 0
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    mosquitto 2>/dev/null | grep -E '^(mosquitto|lib(cjson|dlt|mosquitto|websockets|ev|uv|cap|wrap|systemd)[-0-9a-z.]*)$' | sort -u)
if ! apt-get download $packages >/dev/null 2>&1; then
    echo "mosquitto: apt-get could not download it; broker tests use amqtt" >&2
    exit 0
fi
for package in ./*.deb; do
    dpkg-deb -x "$package" "$cache/root"
done
libraries=$(find "$cache/root" -name '*.so.*' -exec dirname {} \; | sort -u | paste -sd: -)
cat >"$program" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "$cache/root/usr/sbin/mosquitto" "\$@"
SCRIPT
chmod +x "$program"
for tool in mosquitto_passwd mosquitto_pub mosquitto_sub; do
    source=$(find "$cache/root" -type f -name "$tool" | head -1)
    [ -n "$source" ] || continue
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$source" >"$cache/$tool"
    chmod +x "$cache/$tool"
done
if "$program" -h >/dev/null 2>&1 || [ $? -eq 3 ]; then
    echo "$program"
else
    echo "mosquitto: the unpacked program does not run; broker tests use amqtt" >&2
fi
