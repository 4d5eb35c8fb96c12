# Tries to reach addresses by every way that is open to everybody.
# @ARGV: the port, then addresses besides the gateway's own
use strict;
use Socket;

my ($port, @addresses) = @ARGV;

sub try {
    my ($address, $how) = @_;
    socket(my $socket, PF_INET, SOCK_STREAM, 6) or die;
    # SO_DONTROUTE and SO_BINDTODEVICE: past the routes.
    setsockopt($socket, SOL_SOCKET, 5, pack "i", 1) or die if $how eq "unrouted";
    setsockopt($socket, SOL_SOCKET, 25, "eth0\0") or die if $how eq "bound";
    local $SIG{ALRM} = sub { die };
    alarm 1;
    my $reached = eval { connect $socket, sockaddr_in($port, inet_aton($address)) };
    alarm 0;
    print "$address $how ", $reached ? "REACHED" : "shut", "\n";
}

# The probe itself is good.
socket(my $own, PF_INET, SOCK_STREAM, 6) or die;
bind($own, sockaddr_in($port, INADDR_LOOPBACK)) && listen($own, 5) or die;
try("127.0.0.1", "plain");

open my $routes, "<", "/proc/net/route" or die;
my ($default) = grep { (split)[1] eq "00000000" } <$routes>;
my $gateway = inet_ntoa(pack "L", hex((split ' ', $default)[2]));
for my $address ($gateway, "169.254.169.254", @addresses) {
    try($address, $_) for qw(plain unrouted bound);
}

# Datagrams to everybody around.
my ($network) = $gateway =~ /(.*)\./;
my $last = (split /\./, $gateway)[3] | 15;
for my $to ($gateway, "$network.$last", "255.255.255.255", "224.0.0.1") {
    for my $bound (0, 1) {
        socket(my $socket, PF_INET, SOCK_DGRAM, 17) or die;
        setsockopt($socket, SOL_SOCKET, SO_BROADCAST, pack "i", 1);
        setsockopt($socket, SOL_SOCKET, 25, "eth0\0") if $bound;
        send $socket, "from the sandbox", 0, sockaddr_in($port, inet_aton($to));
    }
}

# The walls themselves: a route and the filter are taken away, in rtnetlink's and nf_tables' words.
sub asks {
    my ($what, $protocol, $all) = @_;
    socket(my $kernel, 16, SOCK_RAW, $protocol) or return print "$what refused\n";
    send $kernel, $all, 0;
    my $read = "";
    vec($read, fileno $kernel, 1) = 1;
    return print "$what refused\n" unless select $read, undef, undef, 1;
    recv $kernel, my $answer, 4096, 0;
    print "$what ", unpack("l", substr $answer, 16, 4) < 0 ? "refused" : "DONE", "\n";
}
my $route = pack("C8L", 2, 32, 0, 0, 254, 3, 0, 7, 0) . pack("SSa4", 8, 1, inet_aton($gateway));
asks("route", 0, pack("LSSLL", 16 + length $route, 25, 5, 1, 0) . $route);
my $begin = pack "LSSLLCCn", 20, 16, 1, 1, 0, 0, 0, 10;
my $table = pack("CCn", 2, 0, 0) . pack("SSa6x2", 10, 1, "smelt");
my $end = pack "LSSLLCCn", 20, 17, 1, 3, 0, 0, 0, 10;
asks("filter", 12, $begin . pack("LSSLL", 16 + length $table, 0xa02, 5, 2, 0) . $table . $end);
