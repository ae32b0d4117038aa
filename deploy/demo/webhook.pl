#!/usr/bin/perl
# Receives alerts as a care team's system would: answers 204 and writes each delivery's body as a line to standard
# output. With the modules of perl-base alone, which every Debian has.
#
#   webhook.pl PORT
use strict;
use warnings;
use IO::Socket::INET;

my $port = shift // die "usage: webhook.pl PORT\n";
$| = 1;
$SIG{TERM} = sub { exit 0 };
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1)
    or die "can't listen on 127.0.0.1:$port: $!\n";

while (my $client = $listener->accept) {
    # A caller that stalls must not keep the next one waiting.
    local $SIG{ALRM} = sub { die "stalled\n" };
    eval {
        alarm 5;
        my $length = 0;
        while (defined(my $line = <$client>)) {
            last if $line =~ /^\r?\n$/;
            $length = $1 if $line =~ /^content-length:\s*(\d+)/i;
            print $client "HTTP/1.1 100 Continue\r\n\r\n" if $line =~ /^expect:\s*100-continue/i;
        }
        my $body = '';
        while (length $body < $length) {
            my $count = read $client, my $part, $length - length $body;
            last unless $count;
            $body .= $part;
        }
        $body =~ s/[\r\n]+/ /g;
        print "$body\n" if length $body;
        print $client "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    };
    alarm 0;
    close $client;
}
