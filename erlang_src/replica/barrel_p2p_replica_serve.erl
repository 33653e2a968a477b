%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_replica_serve).
-moduledoc """
What a replica gives to others: its snapshot, in pieces, as fast as they ask for them.

The snapshot is made in a process of its own, so however long the callback takes, or however it fails, the replica goes on. A few are held at
a time, until they have been fetched or nobody has asked for a piece for a while; who comes when there is no room is told to wait.
""".

-export([new/1, pull/5, done/3, made/3, sweep/1, is_idle/1]).
-export_type([serve/0]).

-type fetch() :: {To :: node(), reference()}.
-type session() :: {making, pid(), Monitor :: reference(), SinceMs :: integer()} | {ready, binary(), UsedMs :: integer()}.
-record(serve, {tag :: term(), sessions = #{} :: #{fetch() => session()}}).

-opaque serve() :: #serve{}.

-define(PIECE_BYTES, 262_144).
-define(MAX_SESSIONS, 4).
-define(MAKING_MS, 60_000).
-define(UNUSED_MS, 10_000).

%% Tag is what the direct messages of the instance are sent under.
-spec new(Tag :: term()) -> serve().
new(Tag) ->
    #serve{tag = Tag}.

-spec is_idle(serve()) -> boolean().
is_idle(#serve{sessions = Sessions}) ->
    Sessions =:= #{}.

%% A node asks for a piece. Make makes the bytes of a snapshot in another process, of which the caller then hears
%% {barrel_p2p_replica_made, Pid, {snapshot, Bytes} | {failed, Reason}}, or that it is down.
-spec pull(node(), reference(), Offset :: non_neg_integer(), Make :: fun(() -> binary()), serve()) -> serve().
pull(To, Ref, Offset, Make, #serve{sessions = Sessions} = Serve) ->
    case Sessions of
        #{{To, Ref} := {ready, Bytes, _}} ->
            give({To, Ref}, Offset, Bytes, Serve);
        #{{To, Ref} := {making, _, _, _}} ->
            send({To, Ref}, wait, Serve);
        #{} when Offset > 0 ->
            send({To, Ref}, gone, Serve);
        #{} when map_size(Sessions) >= ?MAX_SESSIONS ->
            send({To, Ref}, wait, Serve);
        #{} ->
            Replica = self(),
            {Pid, Monitor} = spawn_monitor(fun() -> Replica ! {barrel_p2p_replica_made, self(), run(Make)} end),
            Serve#serve{sessions = Sessions#{{To, Ref} => {making, Pid, Monitor, now_ms()}}}
    end.

%% The node has it all.
-spec done(node(), reference(), serve()) -> serve().
done(To, Ref, #serve{sessions = Sessions} = Serve) ->
    case Sessions of
        #{{To, Ref} := {ready, _, _}} -> Serve#serve{sessions = maps:remove({To, Ref}, Sessions)};
        #{} -> Serve
    end.

%% What came of making a snapshot.
-spec made(pid(), {snapshot, binary()} | {failed, term()}, serve()) -> serve().
made(Pid, Result, #serve{sessions = Sessions} = Serve) ->
    case [{Fetch, Monitor} || {Fetch, {making, Its, Monitor, _}} <- maps:to_list(Sessions), Its =:= Pid] of
        [{Fetch, Monitor}] -> true = demonitor(Monitor, [flush]), ended(Fetch, Result, Serve);
        [] -> Serve
    end.

%% Forgets what nobody fetches, and ends what takes too long.
-spec sweep(serve()) -> serve().
sweep(#serve{sessions = Sessions} = Serve) ->
    Now = now_ms(),
    _ = [exit(Pid, kill) || {making, Pid, _, Since} <- maps:values(Sessions), Now - Since > ?MAKING_MS],
    Serve#serve{sessions = maps:filter(fun(_Fetch, {ready, _, Used}) -> Now - Used =< ?UNUSED_MS;
                                          (_Fetch, {making, _, _, _}) -> true
                                       end, Sessions)}.

-spec run(fun(() -> binary())) -> {snapshot, binary()} | {failed, term()}.
run(Make) ->
    try {snapshot, Make()}
    catch _:Reason -> {failed, Reason}
    end.

-spec ended(fetch(), {snapshot, binary()} | {failed, term()}, serve()) -> serve().
ended(Fetch, {snapshot, Bytes}, Serve) ->
    give(Fetch, 0, Bytes, Serve);
ended(Fetch, {failed, _}, #serve{sessions = Sessions} = Serve) ->
    send(Fetch, failed, Serve#serve{sessions = maps:remove(Fetch, Sessions)}).

-spec give(fetch(), non_neg_integer(), binary(), serve()) -> serve().
give({_, Ref} = Fetch, Offset, Bytes, #serve{sessions = Sessions} = Serve) when Offset =< byte_size(Bytes) ->
    Piece = binary:part(Bytes, Offset, min(?PIECE_BYTES, byte_size(Bytes) - Offset)),
    send(Fetch, {piece, Ref, Offset, byte_size(Bytes), Piece}, Serve#serve{sessions = Sessions#{Fetch => {ready, Bytes, now_ms()}}});
give(Fetch, _Offset, _Bytes, Serve) ->
    send(Fetch, gone, Serve).

%% What cannot be sent is asked for again.
-spec send(fetch(), wait | gone | failed | {piece, reference(), non_neg_integer(), non_neg_integer(), binary()}, serve()) -> serve().
send({_, Ref} = Fetch, Kind, Serve) when is_atom(Kind) ->
    sent(Fetch, {Kind, Ref}, Serve);
send(Fetch, Piece, Serve) ->
    sent(Fetch, Piece, Serve).

-spec sent(fetch(), tuple(), serve()) -> serve().
sent({To, _}, Message, #serve{tag = Tag} = Serve) ->
    _ = barrel_p2p_direct:send(To, Tag, Message),
    Serve.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).
