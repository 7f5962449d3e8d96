import { relayScript } from './relay-script';

/**
 * How a cage's own network reaches the outside: `veth` (as root: a pair of virtual interfaces and address translation),
 * `slirp4netns` (as an ordinary user: a user-mode network stack), or `none` (loopback only).
 */
export type Egress = 'veth' | 'slirp4netns' | 'none';

/**
 * Each cage has a /30 of 198.19.0.0/16 (RFC 2544 keeps it free of real hosts), which its slot number decides. The name of
 * the host's interface carries the slot: the kernel refuses a second one of that name, so two workers never share a slot.
 */
export const networkSlots = 16_384;

/**
 * The host's rules for all cages, loaded in one transaction before each cage; nothing in them belongs to one build, and
 * the interface vanishes with its cage, so a crash leaves nothing to sweep. Cages reach no service of the host but name
 * servers, and not one another, and send under no address but a cage's. TCP segments are clamped to the way out, whose MTU may be less than the cage's.
 */
const hostRules = `
table inet image_factory
delete table inet image_factory
table inet image_factory {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "ifcage*" meta l4proto { tcp, udp } th dport 53 accept
    iifname "ifcage*" ct state established,related accept
    iifname "ifcage*" drop
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "ifcage*" oifname "ifcage*" drop
    iifname "ifcage*" ip saddr != 198.19.0.0/16 drop
    iifname "ifcage*" tcp flags syn tcp option maxseg size set rt mtu
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 198.19.0.0/16 oifname != "ifcage*" masquerade
  }
}
`;

/**
 * Shell functions for the first process of a cage: \`own_network KIND SLOT INNER OUTER NODE RELAYED\` makes the network
 * namespace "$root/net", gives it its way out and filters it, inside by the rules INNER and on the host by OUTER. They run
 * in the host's network namespace, as root or as root of the cage's user namespace.
 *
 * The sysfs of the host would tell its interfaces, with their addresses and counters: the cage has one of its own network,
 * where the kernel lets it.
 *
 * A process holds the rules of OUTER: the kernel drops a table with the flag \`owner\` when its owner ends, however that
 * happens. Where a filter cannot be had there is no network.
 */
export const networkScript = `
own_network() {
  : > "$root/net"
  unshare --net="$root/net" true || fail "no network namespace can be made"
  own_sysfs
  error=$(nsenter --net="$root/net" ip link set lo up 2>&1) || [ "$1" = none ] || fail "ip: $error"
  case $1 in
    none) ;;
    *)
      error=$(printf '%s' "$3" | nsenter --net="$root/net" nft -f - 2>&1) || fail "nftables refused the rules: $error"
      ;;
  esac
  case $1 in
    veth) veth "$2" "$4" ;;
    slirp4netns) slirp ;;
    slirp4netns-without-dns) slirp --disable-dns ;;
  esac
  [ "$6" = '[]' ] || relay "$5" "$6"
}

own_sysfs() {
  mkdir "$root/cgroup"
  mount --rbind /sys/fs/cgroup "$root/cgroup" 2>/dev/null || return 0
  nsenter --net="$root/net" mount -t sysfs -o ro,nosuid,nodev,noexec image-factory /sys 2>/dev/null || return 0
  mount --rbind "$root/cgroup" /sys/fs/cgroup || fail "the control groups cannot be shown"
  umount -l "$root/cgroup" || fail "the control groups cannot be unmounted"
}

veth() {
  slot=$1
  forward=/proc/sys/net/ipv4/ip_forward
  [ "$(cat $forward)" = 1 ] || echo 1 2>/dev/null > $forward || fail "the host's ip_forward is 0 and cannot be changed"
  error=$(nft -f - 2>&1 <<'RULES'
${hostRules}RULES
  ) || fail "nftables refused the rules: $error"
  attempts=1
  until error=$(ip link add "ifcage$slot" type veth peer name eth0 netns "$root/net" 2>&1); do
    [ "$attempts" -lt 32 ] || fail "no virtual interface can be made: $error"
    attempts=$((attempts + 1))
    slot=$(((slot + 1) % ${networkSlots}))
  done
  hold "ifcage$slot" "$2"
  subnet="198.19.$((slot / 64))"
  low=$((slot % 64 * 4))
  ip -batch - <<HOST || fail "the virtual interface refused its address"
link set dev ifcage$slot addrgenmode none
address add $subnet.$((low + 1))/30 dev ifcage$slot
link set dev ifcage$slot up
HOST
  nsenter --net="$root/net" ip -batch - <<CAGE || fail "the inner interface refused its address"
link set dev eth0 addrgenmode none
address add $subnet.$((low + 2))/30 dev eth0
link set dev eth0 up
route add default via $subnet.$((low + 1))
CAGE
}

hold() {
  mkfifo "$root/filter"
  nft -i <"$root/filter" >"$root/filter.log" 2>&1 &
  exec 8>"$root/filter"
  printf '%s\\n' "$2" | sed "s/IFCAGE/$1/g" >&8
  attempts=1
  until nft list table inet "$1" >/dev/null 2>&1; do
    [ "$attempts" -lt 500 ] || fail "nftables refused the rules of the host: $(tail -n 3 "$root/filter.log" | paste -s -d ' ')"
    attempts=$((attempts + 1))
    sleep 0.01
  done
}

slirp() {
  mkfifo "$root/slirp"
  slirp4netns --configure --mtu=1500 --disable-host-loopback "$@" --netns-type=path --ready-fd=9 "$root/net" tap0 \\
    </dev/null >"$root/slirp.log" 2>&1 9>"$root/slirp" &
  ready=
  read -r ready < "$root/slirp" || :
  [ "$ready" = 1 ] || fail "slirp4netns: $(tail -n 2 "$root/slirp.log" | paste -s -d ' ')"
}

relay() {
  mkfifo "$root/relay"
  env -i PATH="$PATH" "$1" -e ${quoted(relayScript)} "$root/net" "$2" \\
    </dev/null >"$root/relay.log" 2>&1 9>"$root/relay" &
  ready=
  read -r ready < "$root/relay" || :
  [ "$ready" = 1 ] || fail "no relay to the servers of this host: $(tail -n 2 "$root/relay.log" | paste -s -d ' ')"
}
`;

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
