#!/bin/sh
# Make a certificate authority of this installation's own, and a certificate for each server. Safe to run again: it renews
# those that end within thirty days or were not signed by the authority. The servers must then be told to read them again.
#
# Below TLS_DIRECTORY, each a volume of its own: authority/ has the authority's key, trust/ its certificate for all who
# connect, and each server finds its certificate and key in the folder with its name.
set -eu

root="${TLS_DIRECTORY:-/tls}"
authority_key="$root/authority/ca.key"
authority="$root/trust/ca.crt"
renew_before_seconds=2592000

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

new_key() {
    (umask 077 && openssl ecparam -genkey -noout -name prime256v1 -out "$1")
}

make_authority() {
    cat >"$work/authority.cnf" <<'CNF'
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = meetbot private authority
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
    new_key "$authority_key.new"
    openssl req -x509 -new -config "$work/authority.cnf" -key "$authority_key.new" -days 3650 -out "$authority.new"
    chmod 0444 "$authority.new"
    mv "$authority_key.new" "$authority_key"
    mv "$authority.new" "$authority"
}

# A run may have been killed after it had replaced one of the two.
belong_together() {
    [ -s "$1" ] && [ -s "$2" ] &&
        [ "$(openssl pkey -in "$1" -pubout 2>/dev/null)" = "$(openssl x509 -in "$2" -noout -pubkey 2>/dev/null)" ]
}

is_good() {
    belong_together "$root/$1/server.key" "$root/$1/server.crt" &&
        openssl x509 -in "$root/$1/server.crt" -noout -checkend "$renew_before_seconds" >/dev/null 2>&1 &&
        openssl verify -CAfile "$authority" "$root/$1/server.crt" >/dev/null 2>&1
}

# Our own processes are outside of the containers: they reach a server by a published port on the loopback interface.
make_certificate() {
    cat >"$work/server.cnf" <<CNF
[req]
distinguished_name = name
prompt = no
[name]
CN = $1
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$1, DNS:localhost, IP:127.0.0.1, IP:::1
CNF
    new_key "$root/$1/server.key.new"
    openssl req -new -config "$work/server.cnf" -key "$root/$1/server.key.new" -out "$work/server.csr"
    openssl x509 -req -in "$work/server.csr" -CA "$authority" -CAkey "$authority_key" -set_serial "0x1$(openssl rand -hex 15)" \
        -days 365 -extfile "$work/server.cnf" -extensions server -out "$root/$1/server.crt.new" 2>/dev/null
    chmod 0444 "$root/$1/server.crt.new"
    own_key "$1" "$root/$1/server.key.new"
    mv "$root/$1/server.key.new" "$root/$1/server.key"
    mv "$root/$1/server.crt.new" "$root/$1/server.crt"
    echo "made a certificate for $1"
}

# PostgreSQL takes a key only from itself and readable by nobody else; this image knows its user. Those of the other images
# are theirs to choose: their keys are kept by the volume, which only the server mounts.
own_key() {
    if [ "$1" != postgresql ]; then
        chmod 0444 "$2"
    elif [ "$(id -u)" -eq 0 ]; then
        chown postgres:postgres "$2"
    fi
}

belong_together "$authority_key" "$authority" || make_authority
for server in postgresql temporal openbao; do
    is_good "$server" || make_certificate "$server"
done
