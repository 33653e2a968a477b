%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_input).
-moduledoc """
The input process of one channel. It owns the received frames from the first byte on.

During the handshake it hands out one packet per call; afterwards it is the emulator's input handler. Were the frames to move to another process
in between, some could overtake others. What has arrived waits in native code until it is taken, small messages before large ones.
""".

-export([start_link/0, serve/2, recv/2, go/2]).

%% The emulator takes next to nothing for a frame, however large, and so would not let others run before no more frames come. With this a slice
%% (4,000 reductions) ends after a MiB, which takes about a millisecond. Measured, a ping beside one stream: the longest wait in 10 s was up to 90 ms,
%% and is below 12; throughput and median are the same.
-define(BYTES_PER_REDUCTION, 256).

%% Packets that wait, oldest first; who waits for a packet; whether the link is still there.
-record(handshake, {channel = none :: none | barrel_p2p_nif:channel(),
                    packets = [] :: [nonempty_binary()],
                    waiting = none :: none | {pid(), reference()},
                    closed = false :: false | atom()}).

-spec start_link() -> pid().
start_link() ->
    spawn_opt(fun() -> handshake(#handshake{}) end, [link, {priority, max}, {message_queue_data, off_heap}]).

%% Names the channel that it is the input process of.
-spec serve(pid(), barrel_p2p_nif:channel()) -> ok.
serve(Input, Channel) ->
    Input ! {channel, Channel},
    ok.

%% The next packet of the handshake.
-spec recv(pid(), timeout()) -> {ok, [byte()]} | {error, closed | timeout}.
recv(Input, Timeout) ->
    Ref = monitor(process, Input),
    Input ! {recv, self(), Ref},
    receive
        {Ref, Result} -> demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, _, _} -> {error, closed}
    after Timeout ->
            demonitor(Ref, [flush]),
            {error, timeout}
    end.

%% The handshake is over. Called by the controller, after it has made this process the input handler.
-spec go(pid(), erlang:dist_handle()) -> ok.
go(Input, DHandle) ->
    Input ! {go, DHandle},
    ok.

-spec handshake(#handshake{}) -> no_return().
handshake(#handshake{channel = Channel, packets = Packets, closed = Closed} = State) ->
    receive
        {channel, Taken} ->
            handshake(answer(State#handshake{channel = Taken}));
        {barrel_p2p_frames} ->
            handshake(answer(State));
        {barrel_p2p_closed, Reason} ->
            handshake(answer(State#handshake{closed = Reason}));
        {recv, From, Ref} ->
            handshake(answer(State#handshake{waiting = {From, Ref}}));
        {go, DHandle} ->
            process_flag(priority, normal),
            lists:foreach(fun(Frame) -> erlang:dist_ctrl_put_data(DHandle, Frame) end, Packets),
            ok = put_all(DHandle, Channel),
            case Closed of
                false -> loop(DHandle, Channel);
                Reason -> exit({shutdown, Reason})
            end
    end.

%% Nothing is taken before somebody wants it, so a peer that says too much is slowed down.
-spec answer(#handshake{}) -> #handshake{}.
answer(#handshake{waiting = {From, Ref}, packets = [Packet | Packets]} = State) ->
    From ! {Ref, {ok, binary_to_list(Packet)}},
    State#handshake{waiting = none, packets = Packets};
answer(#handshake{waiting = {From, Ref}, channel = Channel, closed = Closed} = State) when Channel =/= none ->
    case barrel_p2p_nif:channel_take_first(Channel) of
        none when Closed =/= false ->
            From ! {Ref, {error, closed}},
            State#handshake{waiting = none};
        none ->
            State;
        Batch ->
            answer(State#handshake{packets = split(Batch)})
    end;
answer(State) ->
    State.

-spec split(binary()) -> [nonempty_binary()].
split(Batch) ->
    [Packet || <<Length:32, Packet:Length/binary>> <= Batch, Length > 0].

-spec loop(erlang:dist_handle(), barrel_p2p_nif:channel()) -> no_return().
loop(DHandle, Channel) ->
    receive
        {barrel_p2p_frames} ->
            ok = put_all(DHandle, Channel),
            loop(DHandle, Channel);
        {barrel_p2p_closed, Reason} ->
            ok = put_all(DHandle, Channel),
            exit({shutdown, Reason});
        _ ->
            loop(DHandle, Channel)
    end.

-spec put_all(erlang:dist_handle(), barrel_p2p_nif:channel()) -> ok.
put_all(DHandle, Channel) ->
    case barrel_p2p_nif:channel_take(Channel) of
        none ->
            ok;
        Batch ->
            ok = put_frames(DHandle, Batch),
            true = erlang:bump_reductions(1 + byte_size(Batch) div ?BYTES_PER_REDUCTION),
            put_all(DHandle, Channel)
    end.

%% An empty frame is a tick, to the emulator as well.
-spec put_frames(erlang:dist_handle(), binary()) -> ok.
put_frames(DHandle, <<Length:32, Frame:Length/binary, Rest/binary>>) ->
    ok = erlang:dist_ctrl_put_data(DHandle, Frame),
    put_frames(DHandle, Rest);
put_frames(_DHandle, <<>>) ->
    ok.
