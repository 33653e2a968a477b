%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_input).
-moduledoc """
The input process of one channel. It owns the received frames from the first byte on.

During the handshake it hands out one packet per call; afterwards it is the emulator's input handler. Were the frames to move to another process
in between, some could overtake others. Native code gives it a bounded number of bytes and more only when they are given back.
""".

-export([start_link/0, recv/2, go/3]).

%% Frames that wait, oldest first, and the bytes to give back for them; who waits for a frame; whether the link is still there.
-record(handshake, {frames = [] :: [binary()], owed = 0 :: non_neg_integer(), waiting = none :: none | {pid(), reference()},
                    closed = false :: false | atom()}).

-spec start_link() -> pid().
start_link() ->
    spawn_opt(fun() -> handshake(#handshake{}) end, [link, {priority, max}, {message_queue_data, off_heap}]).

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
-spec go(pid(), erlang:dist_handle(), barrel_p2p_nif:channel()) -> ok.
go(Input, DHandle, Channel) ->
    Input ! {go, DHandle, Channel},
    ok.

-spec handshake(#handshake{}) -> no_return().
handshake(#handshake{frames = Frames, owed = Owed, closed = Closed} = State) ->
    receive
        {barrel_p2p_frames, Batch} ->
            handshake(answer(State#handshake{frames = Frames ++ split(Batch), owed = Owed + byte_size(Batch)}));
        {barrel_p2p_closed, Reason} ->
            handshake(answer(State#handshake{closed = Reason}));
        {recv, From, Ref} ->
            handshake(answer(State#handshake{waiting = {From, Ref}}));
        {go, DHandle, Channel} ->
            process_flag(priority, normal),
            lists:foreach(fun(Frame) -> erlang:dist_ctrl_put_data(DHandle, Frame) end, Frames),
            ok = barrel_p2p_nif:channel_ack(Channel, Owed),
            case Closed of
                false -> loop(DHandle, Channel);
                Reason -> exit({shutdown, Reason})
            end
    end.

-spec answer(#handshake{}) -> #handshake{}.
answer(#handshake{waiting = {From, Ref}, frames = [Frame | Frames]} = State) ->
    From ! {Ref, {ok, binary_to_list(Frame)}},
    State#handshake{waiting = none, frames = Frames};
answer(#handshake{waiting = {From, Ref}, frames = [], closed = Closed} = State) when Closed =/= false ->
    From ! {Ref, {error, closed}},
    State#handshake{waiting = none};
answer(State) ->
    State.

-spec split(binary()) -> [binary()].
split(Batch) ->
    [Frame || <<Length:32, Frame:Length/binary>> <= Batch, Length > 0].

-spec loop(erlang:dist_handle(), barrel_p2p_nif:channel()) -> no_return().
loop(DHandle, Channel) ->
    receive
        {barrel_p2p_frames, Batch} ->
            ok = put_frames(DHandle, Batch),
            ok = barrel_p2p_nif:channel_ack(Channel, byte_size(Batch)),
            loop(DHandle, Channel);
        {barrel_p2p_closed, Reason} ->
            exit({shutdown, Reason});
        _ ->
            loop(DHandle, Channel)
    end.

%% An empty frame is a tick, to the emulator as well.
-spec put_frames(erlang:dist_handle(), binary()) -> ok.
put_frames(DHandle, <<Length:32, Frame:Length/binary, Rest/binary>>) ->
    ok = erlang:dist_ctrl_put_data(DHandle, Frame),
    put_frames(DHandle, Rest);
put_frames(_DHandle, <<>>) ->
    ok.
