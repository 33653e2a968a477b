%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_trust).
-moduledoc """
What a refusal must look like from outside: no connection, the reason on both sides, nothing stored and no atom made.
""".

-export([refused/3, told/3, logged/2, dial/2, pins/1, knows_atom/2]).

-import(barrel_p2p_test, [on/2]).

%% The first peer dials the second, which refuses for that reason. Of the dialler's name the acceptor keeps a reason and a log line.
-spec refused(Dialler :: barrel_p2p_test:peer(), Acceptor :: barrel_p2p_test:peer(), Reason :: atom()) -> ok.
refused(#{node := Claimed} = Dialler, #{node := Dialled} = Acceptor, Reason) ->
    Name = atom_to_binary(Claimed),
    Pins = [pins(P) || P <- [Dialler, Acceptor]],
    Atom = knows_atom(Acceptor, Name),
    false = dial(Dialler, Dialled),
    {Reason, Ago} = on(Dialler, fun() -> barrel_p2p:last_error(Dialled) end),
    true = Ago < 10_000,
    ok = told(Acceptor, Name, Reason),
    [ok = logged(P, Reason) || P <- [Dialler, Acceptor]],
    {[], []} = {on(Dialler, fun() -> nodes(connected) end), on(Acceptor, fun() -> nodes(connected) end)},
    Pins = [pins(P) || P <- [Dialler, Acceptor]],
    Atom = knows_atom(Acceptor, Name),
    ok.

%% The reason is what the peer gives for the other one, or will be in a moment: the word of a refusal travels.
-spec told(barrel_p2p_test:peer(), Name :: node() | binary(), Reason :: atom()) -> ok.
told(Peer, Name, Reason) ->
    barrel_p2p_test:wait_until({told, Name, Reason}, fun() ->
                                   case on(Peer, fun() -> barrel_p2p:last_error(Name) end) of
                                       {Reason, _} -> true;
                                       none -> false
                                   end
                               end, 2_000).

%% The line with this reason is in the log of the peer, or will be in a moment.
-spec logged(barrel_p2p_test:peer(), Reason :: atom()) -> ok.
logged(Peer, Reason) ->
    barrel_p2p_test:logged(Peer, ["refused (", atom_to_binary(Reason), ")"]).

-spec dial(barrel_p2p_test:peer(), node()) -> boolean().
dial(Peer, Node) ->
    on(Peer, fun() -> net_kernel:connect_node(Node) end).

%% The pins on disk, with their contents.
-spec pins(barrel_p2p_test:peer()) -> [{file:filename(), binary()}].
pins(#{dir := Dir}) ->
    Trusted = filename:join([Dir, "keys", "trusted"]),
    [begin {ok, Key} = file:read_file(filename:join(Trusted, File)), {File, Key} end || File <- lists:sort(filelib:wildcard("*", Trusted))].

-spec knows_atom(barrel_p2p_test:peer(), binary()) -> boolean().
knows_atom(Peer, Name) ->
    on(Peer, fun() -> try binary_to_existing_atom(Name) of Atom -> is_atom(Atom) catch error:badarg -> false end end).
