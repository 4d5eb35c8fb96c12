# Shuts ranges of addresses off, and says "up", or "up without a filter".
# $@: "unreachable RANGE", "GATEWAY ADDRESS" for one that stays open, "direct RANGE" for one that is there already,
# "dropped RANGE" for one that no route keeps away;
# the first that fits an address decides
#
# Routes that lead nowhere say no at once, but only to who asks for a route: a socket that is bound to
# its device, or wants none (SO_BINDTODEVICE and SO_DONTROUTE of socket(7), both for everybody), reaches
# the machine past them. What such a socket sends is dropped by a filter.
set -eu
if command -v perl >/dev/null 2>&1; then
    # In the kernel's own words: rtnetlink(7) and nf_tables.
    exec perl -e '
        use strict;
        use Socket;
        my @walls = map { [split m{[ /]}] } @ARGV;

        # Sends messages, of which the last is to be answered, and returns what is wrong with them.
        sub ask {
            my ($protocol, @messages) = @_;
            socket(my $kernel, 16, SOCK_RAW, $protocol) or return "netlink: $!";
            my ($n, $all) = (0, "");
            for (@messages) {
                my ($type, $flags, $body) = @$_;
                $all .= pack("LSSLL", 16 + length $body, $type, $flags, ++$n, 0) . $body;
            }
            send $kernel, $all, 0 or return "netlink: $!";
            recv $kernel, my $answer, 4096, 0;
            $! = -unpack "l", substr $answer, 16, 4;
            return $! ? "$!" : "";
        }
        sub attribute {
            my ($type, $value) = @_;
            my $length = 4 + length $value;
            return pack("SS", $length, $type) . $value . "\0" x (-$length % 4);
        }
        sub number { attribute($_[0], pack "N", $_[1]) }
        sub nested { attribute(0x8000 | shift, join "", @_) }

        for (@walls) {
            my ($way, $range, $bits) = @$_;
            next if $way eq "direct" or $way eq "dropped";
            my $leads = $way ne "unreachable";
            my $route = pack "C8L", 2, $bits, 0, 0, 254, 3, 0, $leads ? 1 : 7, 0;
            $route .= attribute(1, inet_aton($range));
            $route .= attribute(5, inet_aton($way)) if $leads;
            my $wrong = ask(0, [24, 0x605, $route]);
            die "$range/$bits: $wrong\n" if $wrong;
        }

        sub expression { nested(1, attribute(1, "$_[0]\0"), nested(2, @_[1 .. $#_])) }
        sub equals { expression("cmp", number(1, 1), number(2, 0), nested(3, attribute(1, $_[0]))) }
        sub rule {
            my ($accepts, @expressions) = @_;
            my $verdict = nested(2, nested(2, number(1, $accepts)));
            push @expressions, expression("immediate", number(1, 0), $verdict);
            my $place = attribute(1, "smelt\0") . attribute(2, "out\0");
            return [0xa06, 0xc01, pack("CCn", 2, 0, 0) . $place . nested(4, @expressions)];
        }
        sub destination {
            my ($range, $bits) = @_;
            my $mask = pack "N", 0xffffffff << 32 - $bits & 0xffffffff;
            return (
                expression("payload", number(1, 1), number(2, 1), number(3, 16), number(4, 4)),
                expression("bitwise", number(1, 1), number(2, 1), number(3, 4),
                    nested(4, attribute(1, $mask)), nested(5, attribute(1, "\0" x 4))),
                equals(inet_aton($range) & $mask));
        }
        # A chain for what goes out, but not to the sandbox itself: its loopback device is the first.
        my @rules = (rule(1, expression("meta", number(1, 1), number(2, 5)), equals(pack "L", 1)));
        push @rules, rule($_->[0] =~ /^(unreachable|dropped)$/ ? 0 : 1, destination(@$_[1, 2])) for @walls;
        $rules[-1][1] |= 4;
        my $ipv4 = pack "CCn", 2, 0, 0;
        my $hook = nested(4, number(1, 3), number(2, 0));
        my $wrong = ask(12,
            [16, 1, pack "CCn", 0, 0, 10],
            [0xa00, 0x401, $ipv4 . attribute(1, "smelt\0")],
            [0xa03, 0x401, $ipv4 . attribute(1, "smelt\0") . attribute(3, "out\0") . $hook . attribute(7, "filter\0")],
            @rules,
            [17, 1, pack "CCn", 0, 0, 10]);
        print STDERR "filter: $wrong\n" if $wrong;
        print "up", $wrong ? " without a filter" : "", "\n";' "$@"
fi
command -v ip >/dev/null 2>&1 || exit 9
rules=
for wall; do
    case $wall in
    unreachable*)
        ip route add unreachable "${wall#* }"
        rules="$rules ip daddr ${wall#* } drop;"
        ;;
    dropped*)
        rules="$rules ip daddr ${wall#* } drop;"
        ;;
    direct*)
        rules="$rules ip daddr ${wall#* } accept;"
        ;;
    *)
        ip route add "${wall#* }" via "${wall%% *}"
        rules="$rules ip daddr ${wall#* } accept;"
        ;;
    esac
done
if nft "table ip smelt { chain out { type filter hook output priority 0; oif lo accept; $rules } }"; then
    echo up
else
    echo "up without a filter"
fi
