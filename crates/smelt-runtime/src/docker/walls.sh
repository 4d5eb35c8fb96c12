# Shuts ranges of addresses off, by routes that lead nowhere, and says "up".
# $@: "unreachable RANGE", or "GATEWAY ADDRESS" for one that stays open
set -eu
if command -v ip >/dev/null 2>&1; then
    for route; do
        case $route in
        unreachable*) ip route add unreachable "${route#* }" ;;
        *) ip route add "${route#* }" via "${route%% *}" ;;
        esac
    done
elif command -v perl >/dev/null 2>&1; then
    # The same in the kernel's own words: rtnetlink(7).
    perl -e '
        use strict;
        use Socket;
        socket(my $kernel, 16, SOCK_RAW, 0) or die "netlink: $!\n";
        for (@ARGV) {
            my ($way, $to) = split / /;
            my ($range, $bits) = split m{/}, $to;
            $bits = 32 unless defined $bits;
            my $attributes = pack "SSa4", 8, 1, inet_aton($range);
            $attributes .= pack "SSa4", 8, 5, inet_aton($way) if $way ne "unreachable";
            my $kind = $way eq "unreachable" ? 7 : 1;
            my $route = pack "C8L", 2, $bits, 0, 0, 254, 3, 0, $kind, 0;
            my $length = 16 + length($route) + length($attributes);
            send $kernel, pack("LSSLL", $length, 24, 0x605, 1, 0) . $route . $attributes, 0
                or die "netlink: $!\n";
            recv $kernel, my $answer, 4096, 0;
            my $error = -unpack "l", substr $answer, 16, 4;
            $! = $error, die "$_: $!\n" if $error;
        }' "$@"
else
    exit 9
fi
echo up
