%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_log).
-moduledoc """
What the library logs: reports, each with one line of text.

A report is a map with the key `event`, so a handler or filter can match on it; the default handler prints the line. No logger domain is set:
the default handler of OTP drops every domain but its own, and a refusal that nobody sees is none. Works while distribution starts. Names that a
peer claimed are data from outside: they are printed with every unusual byte masked.
""".

-export([refused/3, report/2, format/1, fingerprint/1]).
-export_type([event/0]).

-type event() :: #{event := refused, direction := inbound | outbound, peer := map(), reason := atom()}
               | #{event := default_cookie | auth_disabled}
               | #{event := key_directory, text := binary()}
               | #{event := start_refused, text := string()}
               | #{event := values_too_late, keys := [atom(), ...]}
               | #{event := discovery_failed, backend := module(), function := atom(), reason := term()}
               | #{event := identity_rotated, fingerprint := binary(), backup_dir := string()}
               | #{event := certificate_rotated, backup_dir := string()}
               | #{event := gossip_failed, text := string()}
               | #{event := join_failed, target := term(), reason := atom()}
               | #{event := contacts_failed, contacts := pos_integer(), reasons := [atom()]}
               | #{event := malformed_payload, from := node() | unknown}
               | #{event := callback_failed, name := atom(), callback := {module(), atom()}, reason := term()}
               | #{event := map_not_started, map := term(), reason := term()}
               | #{event := map_disk_failed, map := atom(), reason := atom()}.

%% A connection that was refused, from (inbound) or to (outbound) Peer, whichever side decided it.
-spec refused(inbound | outbound, Peer :: map(), Reason :: atom()) -> ok.
refused(Direction, Peer, Reason) ->
    report(level(Reason), #{event => refused, direction => Direction, peer => Peer, reason => Reason}).

%% That a node is down or stops is no surprise to whoever dials it, and OTP's own carriers do not mention it either; that one of two dials had to
%% give way is nothing at all.
-spec level(Reason :: atom()) -> logger:level().
level(Reason) when Reason =:= refused; Reason =:= unreachable; Reason =:= dial_timeout; Reason =:= duplicate; Reason =:= shutdown -> info;
level(_) -> warning.

-spec report(logger:level(), event()) -> ok.
report(Level, Event) ->
    logger:log(Level, Event, #{report_cb => fun ?MODULE:format/1}).

%% The report callback for logger.
-spec format(logger:report()) -> {io:format(), [term()]}.
format(#{event := refused, direction := Direction, peer := Peer, reason := Reason}) ->
    {Problem, Advice} = barrel_p2p_reason:text(Reason),
    Preposition = case Direction of inbound -> from; outbound -> to end,
    {"barrel_p2p: connection ~s ~ts refused (~s): ~ts; ~ts", [Preposition, peer(Peer), Reason, Problem, Advice]};
format(#{event := default_cookie}) ->
    {"barrel_p2p: the cookie is barrel_p2p, the well-known default of old clusters; set another with -setcookie or dist_cookie", []};
format(#{event := auth_disabled}) ->
    {"barrel_p2p: auth_enabled is false, so whoever knows the cookie can join under any name", []};
format(#{event := key_directory, text := Text}) ->
    {"barrel_p2p: ~ts", [Text]};
format(#{event := start_refused, text := Text}) ->
    {"barrel_p2p: the application does not start: ~ts", [Text]};
format(#{event := values_too_late, keys := Keys}) ->
    {"barrel_p2p: changed after the distribution started and without effect until it starts again: ~ts",
     [lists:join(", ", [atom_to_list(Key) || Key <- Keys])]};
format(#{event := discovery_failed, backend := Backend, function := Function, reason := Reason}) ->
    {"barrel_p2p: discovery backend ~ts failed in ~ts and is skipped (further failures are not logged): ~ts",
     [Backend, Function, io_lib:format("~0tp", [Reason], [{chars_limit, 500}])]};
format(#{event := identity_rotated, fingerprint := Fingerprint, backup_dir := Backup}) ->
    {"barrel_p2p: new identity with fingerprint ~s, the old key pair is in ~ts", [fingerprint(Fingerprint), Backup]};
format(#{event := certificate_rotated, backup_dir := Backup}) ->
    {"barrel_p2p: new TLS certificate, the old one is in ~ts", [Backup]};
format(#{event := gossip_failed, text := Text}) ->
    {"barrel_p2p: this node takes no part in the cluster: ~ts", [Text]};
format(#{event := join_failed, target := Target, reason := Reason}) ->
    {Problem, Advice} = barrel_p2p_reason:text(Reason),
    {"barrel_p2p: could not join ~0tp (~s): ~ts; ~ts", [Target, Reason, Problem, Advice]};
format(#{event := contacts_failed, contacts := Count, reasons := Reasons}) ->
    {"barrel_p2p: none of the ~b addresses of contact_nodes let this node in (~ts); it goes on trying",
     [Count, lists:join(", ", [atom_to_list(Reason) || Reason <- Reasons])]};
format(#{event := malformed_payload, from := From}) ->
    {"barrel_p2p: a gossip payload of ~0tp is not what this version sends and was dropped (further ones are not logged)", [From]};
format(#{event := callback_failed, name := Name, callback := {Module, Function}, reason := Reason}) ->
    {"barrel_p2p: ~ts:~ts failed for ~0tp, which goes on without (further failures are not logged): ~ts",
     [Module, Function, Name, io_lib:format("~0tp", [Reason], [{chars_limit, 500}])]};
format(#{event := map_not_started, map := Map, reason := Reason}) ->
    {"barrel_p2p: an entry of replicated_maps is not started, ~ts: ~ts",
     [io_lib:format("~0tp", [Map], [{chars_limit, 200}]), io_lib:format("~0tp", [Reason], [{chars_limit, 500}])]};
format(#{event := map_disk_failed, map := Map, reason := Reason}) ->
    {Problem, Advice} = barrel_p2p_reason:text(Reason),
    {"barrel_p2p: the map ~0tp cannot be written to its files any more (~s): ~ts; ~ts", [Map, Reason, Problem, Advice]}.

%% How a fingerprint is written in texts: lower-case hexadecimal.
-spec fingerprint(binary()) -> binary().
fingerprint(Digest) ->
    string:lowercase(binary:encode_hex(Digest)).

-spec peer(map()) -> binary().
peer(Peer) ->
    iolist_to_binary([name(maps:get(node, Peer, <<>>)), address(Peer), key(Peer)]).

-spec name(binary()) -> binary().
name(<<>>) -> <<"a node without a name">>;
name(Name) -> << <<(masked(Byte))>> || <<Byte>> <= binary:part(Name, 0, min(255, byte_size(Name))) >>.

-spec masked(byte()) -> 1..255.
masked(Byte) when Byte > $\s, Byte < 127 -> Byte;
masked(_) -> $?.

-spec address(map()) -> iolist().
address(#{address := {Ip, Port}}) when tuple_size(Ip) =:= 8 -> [" at [", inet:ntoa(Ip), "]:", integer_to_list(Port)];
address(#{address := {Ip, Port}}) -> [" at ", inet:ntoa(Ip), ":", integer_to_list(Port)];
address(_) -> "".

-spec key(map()) -> binary().
key(#{fingerprint := <<_:32/binary>> = Digest}) -> <<" with key ", (fingerprint(Digest))/binary>>;
key(_) -> <<>>.
