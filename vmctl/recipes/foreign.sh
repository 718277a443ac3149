# SPDX-License-Identifier: MIT
# For common.sh: packages of an architecture that is not this machine's. dpkg is told nothing of it:
# apt gets package lists of its own.
# shellcheck shell=sh

# use_apt_for ARCH FOLDER - from here on, apt-get and apt-cache speak of ARCH, and keep what they
# fetch in FOLDER. Of this machine they take the sources, their keys, the preferences and how to
# fetch (a proxy, say), but none of what its apt.conf.d would run.
use_apt_for() {
    mkdir -p "$2/lists/partial" "$2/archives/partial"
    : >"$2/status"
    {
        apt-config dump | grep '^Acquire::' || true
        cat <<END
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$2";
Dir::State::lists "$2/lists";
Dir::State::status "$2/status";
Dir::Cache "$2";
Dir::Cache::archives "$2/archives";
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
END
    } >"$2/apt.conf"
    export APT_CONFIG="$2/apt.conf"
    say "fetching apt's package lists for $1"
    apt-get -q update >"$2/update.log" 2>&1 || {
        cat "$2/update.log" >&2
        fail "apt-get could not fetch the package lists for $1"
    }
}
