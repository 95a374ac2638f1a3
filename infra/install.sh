#!/usr/bin/env bash
# Makes sure that one thing is on this machine: infra/install.sh python|node|postgres|pango|chromium|maven|gdal|wrk
# Installs a Debian or Ubuntu package only when it is missing, and only as root.
set -euo pipefail
cd "$(dirname "$0")/.."

# install WHAT PACKAGE...: as root with apt, install; otherwise say exactly what to type.
install() {
  local what=$1
  shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "palabre needs $what. As root, type:  apt-get install $*" >&2
    exit 1
  fi
  echo "installing $what ($*)"
  apt_get install -y --no-install-recommends "$@"
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null
}

# The lists of packages, once an hour at most.
refresh() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 -print -quit 2>/dev/null)" ] ||
    apt_get update
}

need_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      if ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        refresh
        install "Python's venv" "$("$candidate" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
      fi
      "$candidate" -m venv .venv
      return
    fi
  done
  echo "palabre needs Python 3.11 or newer. As root, type:  apt-get install python3 python3-venv" >&2
  exit 1
}

need_node() {
  command -v npm >/dev/null && return
  refresh
  install "Node.js and npm" nodejs npm
}

need_maven() {
  command -v mvn >/dev/null && command -v java >/dev/null && return
  refresh
  install "Java and Maven" maven default-jre-headless
}

need_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null && return
  refresh
  install "a browser for the tests" chromium fonts-dejavu-core
}

# What lays out the printed catalogue, and letters for every language of Bénin.
need_pango() {
  local library
  library=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p)
  case $library in *libpangoft2-1.0.so.0*libharfbuzz-subset.so.0* | *libharfbuzz-subset.so.0*libpangoft2-1.0.so.0*)
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] && return ;;
  esac
  refresh
  install "what prints the catalogue" libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core
}

need_gdal() {
  command -v ogrinfo >/dev/null && return
  refresh
  install "GDAL's programs for the tests" gdal-bin
}

need_wrk() {
  command -v wrk >/dev/null && return
  refresh
  install "a load generator for the measurements" wrk
}

has_postgis() {
  local control
  for control in /usr/share/postgresql/*/extension/postgis.control; do
    [ -e "$control" ] && [ -x "/usr/lib/postgresql/$(basename "${control%/extension/*}")/bin/postgres" ] &&
      return
  done
  command -v pg_config >/dev/null && [ -x "$(pg_config --bindir)/postgres" ] &&
    [ -e "$(pg_config --sharedir)/extension/postgis.control" ]
}

need_postgres() {
  has_postgis && return
  refresh
  local version
  # Beside a server that is there already, or the distribution's own version.
  version=$(ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -1 || true)
  if [ -z "$version" ] || ! apt-cache show "postgresql-$version-postgis-3" >/dev/null 2>&1; then
    version=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -1 || true)
  fi
  # Palabre runs its own cluster: on a machine without PostgreSQL, no other shall start.
  local quiet=/etc/postgresql-common/createcluster.d/palabre.conf
  if [ "$(id -u)" = 0 ] && [ ! -d /etc/postgresql ]; then
    mkdir -p "$(dirname "$quiet")"
    echo "create_main_cluster = false" >"$quiet"
    trap "rm -f '$quiet'" EXIT
  fi
  install "PostgreSQL with PostGIS" "postgresql-${version:-NN}" "postgresql-${version:-NN}-postgis-3"
}

case ${1:-} in
  python | node | postgres | pango | chromium | maven | gdal | wrk) "need_$1" ;;
  *) echo "usage: $0 python|node|postgres|pango|chromium|maven|gdal|wrk" >&2 && exit 2 ;;
esac
