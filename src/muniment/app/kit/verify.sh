#!/bin/sh
# Checks a bundle of a Muniment report with openssl (3.0 or newer), sha256sum and base64 alone.
# usage: sh verify.sh FOLDER KEY        KEY: the verifier key of the ledger, or a file that holds it; from its owner
set -eu
LC_ALL=C
export LC_ALL

[ $# -eq 2 ] || { echo "usage: sh verify.sh FOLDER KEY" >&2; exit 2; }
bundle=$1 key=$2
[ ! -f "$key" ] || key=$(cat "$key")
exec 3>&1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

refuse() { echo "REFUSED $bundle: $1" >&3; exit 1; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
bytes() { printf "$(printf %s "$1" | sed 's/../\\x&/g')"; }
# printf of some shells knows no \x: octal is known by all
if [ "$(printf '\x41')" != A ]; then
  bytes() { printf "$(printf %s "$1" | sed 's/../0x& /g' | xargs -n 1 printf '\\%03o')"; }
fi
hash() { sha256sum | cut -c1-64; }
unbase64() { printf %s "$1" | base64 -d 2>/dev/null || refuse "$2 is not base64"; }

# --- the files of the manifest: {"bytes":N,"name":"…","rows":N,"sha256":"…"}
manifest=$bundle/manifest.json
for each in manifest.json checkpoint.note report.tlog-proof; do
  [ -f "$bundle/$each" ] || refuse "it has no $each"
done
[ "$(wc -l <"$manifest")" -eq 0 ] || refuse "the manifest is not in its canonical form"
grep -o '{"bytes":[0-9]*,"name":"[A-Za-z0-9._-]*","rows":[0-9nul]*,"sha256":"[0-9a-f]*"}' "$manifest" >"$work/files" || true
sed 's/.*"name":"\([^"]*\)".*"sha256":"\([^"]*\)".*/\2  \1/' "$work/files" >"$work/sums"
if [ -s "$work/sums" ]; then
  (cd "$bundle" && sha256sum -c --strict "$work/sums") >"$work/checked" 2>&1 ||
    refuse "a file was changed or is missing: $(grep -v ': OK$' "$work/checked" | head -n 1)"
fi
for path in "$bundle"/* "$bundle"/.[!.]* "$bundle"/..?*; do
  [ -e "$path" ] || [ -L "$path" ] || continue
  name=${path##*/}
  case $name in
    manifest.json | checkpoint.note | report.tlog-proof | README.txt | verify_muniment.py | verify.sh) continue ;;
    *[!A-Za-z0-9._-]*) ;;
    *) cut -c67- "$work/sums" | grep -qxF -e "$name" && continue ;;
  esac
  refuse "the folder holds $name, which the manifest does not list"
done

# --- the checkpoint and its signature
note=$bundle/checkpoint.note
sed '/^$/,$d' "$note" >"$work/text"
[ "$(wc -l <"$work/text")" -eq 3 ] || refuse "the checkpoint does not have three lines"
origin=$(sed -n 1p "$work/text") size=$(sed -n 2p "$work/text")
unbase64 "$(sed -n 3p "$work/text")" "the root" >"$work/root"
root=$(hex <"$work/root")
name=${key%%+*} rest=${key#*+}
id=${rest%%+*}
unbase64 "${rest#*+}" "the key" >"$work/key"
[ "$(wc -c <"$work/key")" -eq 33 ] && [ "$(head -c 1 "$work/key" | hex)" = 01 ] || refuse "the key is no Ed25519 key"
[ "$({ printf '%s\n' "$name"; cat "$work/key"; } | hash | cut -c1-8)" = "$id" ] || refuse "the id of the key does not fit"
[ "$name" = "$origin" ] || refuse "the checkpoint is about $origin, the key is of $name"
{ printf '\060\052\060\005\006\003\053\145\160\003\041\000'; tail -c 32 "$work/key"; } >"$work/public.der"
found=
sed '1,/^$/d' "$note" >"$work/signatures"
while IFS=' ' read -r dash signer encoded; do
  [ "$signer" = "$name" ] || continue
  unbase64 "$encoded" "a signature" >"$work/signature"
  [ "$(head -c 4 "$work/signature" | hex)" = "$id" ] || continue
  tail -c +5 "$work/signature" >"$work/raw"
  openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$work/public.der" -sigfile "$work/raw" -in "$work/text" \
    >/dev/null 2>&1 || refuse "the signature does not fit the checkpoint: one of them was changed"
  found=$dash
done <"$work/signatures"
[ -n "$found" ] || refuse "the checkpoint is not signed by the key that you trust"

# --- the proof that the report's event is in the ledger of the checkpoint (RFC 9162, section 2.1.3.2)
proof=$bundle/report.tlog-proof
[ "$(sed -n 1p "$proof")" = "c2sp.org/tlog-proof@v1" ] || refuse "the proof is not of its form"
sed '1,/^$/d' "$proof" | cmp -s - "$note" || refuse "the proof leads to another checkpoint than the bundle's"
extra=$(unbase64 "$(sed -n 's/^extra //p;2q' "$proof")" "what the proof holds")
part() { unbase64 "$(printf %s "$extra" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p")" "the $1 of the event"; }
for each in leaf facts facts_blind words words_blind; do part $each >"$work/$each"; done
index=$(sed -n '3s/^index \([0-9][0-9]*\)$/\1/p' "$proof")
[ -n "$index" ] && [ "$index" -lt "$size" ] || refuse "the proof is about an event that the checkpoint does not cover"
at=$index last=$((size - 1))
node=$({ printf '\000'; cat "$work/leaf"; } | hash)
sed '1,3d;/^$/,$d' "$proof" >"$work/hashes"
while read -r line; do
  unbase64 "$line" "a hash of the proof" >"$work/beside"
  beside=$(hex <"$work/beside")
  [ ${#beside} -eq 64 ] && [ "$last" -gt 0 ] || refuse "the proof does not have the hashes that it needs"
  if [ $((at % 2)) -eq 1 ] || [ "$at" -eq "$last" ]; then
    node=$({ printf '\001'; bytes "$beside$node"; } | hash)
    while [ $((at % 2)) -eq 0 ] && [ "$at" -gt 0 ]; do at=$((at / 2)) last=$((last / 2)); done
  else
    node=$({ printf '\001'; bytes "$node$beside"; } | hash)
  fi
  at=$((at / 2)) last=$((last / 2))
done <"$work/hashes"
[ "$last" -eq 0 ] && [ "$node" = "$root" ] || refuse "the event is not in the ledger as the proof shows it"

# --- the event says what the manifest says
holds() { grep -qF "$2" "$work/$1" || refuse "$3"; }
holds leaf "\"facts_commit\":\"$(cat "$work/facts_blind" "$work/facts" | hash)\"" "the facts were changed"
holds leaf "\"words_commit\":\"$(cat "$work/words_blind" "$work/words" | hash)\"" "the words were changed"
holds leaf '"type":"report.generated.1"' "the proof is not about a report"
log=$(grep -o '"log":{"origin":"[^"]*","root":"[0-9a-f]*","size":[0-9]*},' "$manifest") || refuse "the manifest names no ledger"
made=$(printf %s "$log" | sed 's/.*"root":"\([0-9a-f]*\)","size":\([0-9]*\).*/{"root":"\1","size":\2}/')
[ "$(cat "$work/facts")" = "$made" ] || refuse "the manifest names another ledger than the report was made of"
printf %s "$log" | grep -qF "\"origin\":\"$origin\"" || refuse "the manifest names another ledger"
report=$(sed -n 's/.*"report_id":"\([0-9a-f]*\)".*/\1/p' "$manifest")
holds leaf "\"stream\":\"$report\"" "the proof is of another report"
told=$(sed 's/"log":{"origin":"[^"]*","root":"[0-9a-f]*","size":[0-9]*},//' "$manifest" | hash)
holds words "\"manifest\":\"$told\"" "the manifest was changed: it is not the one that was recorded"

echo "OK $bundle: $(wc -l <"$work/sums" | tr -d ' ') files of a report, recorded as event $((index + 1)) of $size in $origin"
