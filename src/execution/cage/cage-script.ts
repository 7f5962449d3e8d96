import { networkScript } from './cage-network';

/** The exit status of a cage that could not be made, and how the line on stderr begins that says why. */
export const cageFailureStatus = 113;
export const cageFailurePrefix = 'cage: ';

/**
 * The first process of a cage: a shell that is root in its namespaces and never execs, because a change of uid would clear
 * the death signal by which it dies with the worker. Everything else in the PID namespace dies with it.
 *
 * Arguments: the directory on which the view is mounted, then what to do, in this order, then `--` and the command:
 *   bind SOURCE NAME rw|ro   shows a directory of the host as "$root/NAME"
 *   resolver TEXT            what the command finds as /etc/resolv.conf
 *   network KIND SLOT INNER OUTER NODE RELAYED   a network namespace of its own, made with what is not hidden yet: Node.js may
 *                            lie in a home
 *   hide PATH                shows nothing of a directory or file of the host
 *   user UID GID             who runs the command; without it, root of the namespace
 *   directory PATH           where the command starts
 *
 * It passes TERM on to every process of the namespace, waits for them, and passes on the command's exit status.
 */
export const cageScript = `
set -eu
umask 022
root=$1
shift
fail() {
  echo "${cageFailurePrefix}$1" >&2
  exit ${cageFailureStatus}
}
${networkScript}
mount -t tmpfs -o mode=0755,size=1m image-factory "$root" || fail "nothing can be mounted on $root"
enter=
become=
directory=/
while [ "$1" != -- ]; do
  case $1 in
    bind)
      mkdir "$root/$3"
      mount --bind "$2" "$root/$3" || fail "$2 cannot be mounted"
      [ "$4" = rw ] || mount -o remount,bind,ro "$root/$3" || fail "$2 cannot be mounted read-only"
      shift 4
      ;;
    hide)
      if [ -d "$2" ]; then
        mount -t tmpfs -o ro,mode=0555,size=4k image-factory "$2" || fail "$2 cannot be hidden"
      elif [ -e "$2" ]; then
        mount --bind /dev/null "$2" || fail "$2 cannot be hidden"
      fi
      shift 2
      ;;
    resolver)
      printf '%s' "$2" > "$root/resolv.conf"
      mount --bind "$root/resolv.conf" /etc/resolv.conf || fail "/etc/resolv.conf cannot be replaced"
      shift 2
      ;;
    network)
      own_network "$2" "$3" "$4" "$5" "$6" "$7"
      enter="nsenter --net=$root/net --"
      shift 7
      ;;
    user)
      become="setpriv --reuid $2 --regid $3 --clear-groups --inh-caps=-all --"
      shift 3
      ;;
    directory)
      directory=$2
      shift 2
      ;;
    *) fail "unknown word $1" ;;
  esac
done
shift
for path in /tmp /var/tmp /dev/shm; do
  mount -t tmpfs -o mode=1777,size=64m image-factory "$path" || fail "$path cannot be replaced"
done

stopping=
trap 'stopping=1; kill -TERM -1 2>/dev/null || :' TERM
exec 4<&0
(
  cd "$directory"
  unset OLDPWD
  exec $enter $become "$@" <&4 4<&- 8>&-
) &
child=$!
while :; do
  status=0
  wait "$child" || status=$?
  kill -0 "$child" 2>/dev/null || break
done
if [ -n "$stopping" ]; then
  while kill -0 -1 2>/dev/null; do sleep 0.1; done
fi
exit "$status"
`;
