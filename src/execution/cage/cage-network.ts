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
 * the interface vanishes with its cage, so a crash leaves nothing to sweep. Cages reach no service of the host but its
 * resolver, and not one another. TCP segments are clamped to the way out, whose MTU may be less than the cage's.
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
    iifname "ifcage*" tcp flags syn tcp option maxseg size set rt mtu
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 198.19.0.0/16 oifname != "ifcage*" masquerade
  }
}
`;

/**
 * Shell functions for the first process of a cage: \`own_network KIND SLOT\` makes the network namespace "$root/net" and
 * gives it its way out. They run in the host's network namespace, as root or as root of the cage's user namespace.
 */
export const networkScript = `
own_network() {
  : > "$root/net"
  unshare --net="$root/net" ip link set lo up || fail "no network namespace can be made"
  case $1 in
    veth) veth "$2" ;;
    slirp4netns) slirp ;;
  esac
  # A packet filter for the inside belongs here: nothing of the build has run in this namespace yet.
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

slirp() {
  mkfifo "$root/slirp"
  slirp4netns --configure --mtu=1500 --disable-host-loopback --netns-type=path --ready-fd=9 "$root/net" tap0 \\
    </dev/null >"$root/slirp.log" 2>&1 9>"$root/slirp" &
  ready=
  read -r ready < "$root/slirp" || :
  [ "$ready" = 1 ] || fail "slirp4netns: $(tail -n 2 "$root/slirp.log" | paste -s -d ' ')"
}
`;
