%% SPDX-License-Identifier: Apache-2.0
-module(bench_network_path).
-moduledoc """
Two network namespaces with an impaired path between them.

The namespaces and the program that carries the packets belong to one run and end with it. Needs root.
""".

-export([with/1, hosts/0, places/1, shape/2, packets/1, has_tcp/1]).

-export_type([path/0, impairment/0]).

-record(path, {port :: port()}).

-opaque path() :: #path{}.

%% `rtt_ms` is the round trip. `mbit` is the rate of the narrow place with `buffer` bytes before it; without it there is none.
-type impairment() :: #{rtt_ms := number(), loss := float(), mbit => pos_integer(), buffer => pos_integer()}.

-define(HOSTS, ["10.77.0.1", "10.77.0.2"]).
-define(PROGRAM, "target/release/impair").
-define(ANSWER_MS, 5_000).

%% Runs `Fun` with a perfect path.
-spec with(fun((path()) -> Result)) -> Result.
with(Fun) ->
    string:trim(os:cmd("id -u")) =:= "0" orelse throw("the impaired network needs root: it makes network namespaces"),
    filelib:is_regular(?PROGRAM) orelse throw(?PROGRAM " is missing; run `cargo build --release -p barrel_p2p_impair`"),
    Names = names(),
    Port = open_port({spawn_executable, ?PROGRAM}, [{args, [interface(Name) || Name <- Names]}, {line, 1024}, exit_status]),
    try
        "ready" = answer(Port),
        _ = [connect(Name, Host) || {Name, Host} <- lists:zip(Names, ?HOSTS)],
        _ = [ok = bench_epmd:start_in(enter(Name)) || Name <- Names],
        Fun(#path{port = Port})
    after
        port_close(Port),
        _ = [os:cmd("ip netns delete " ++ Name) || Name <- Names]
    end.

%% The addresses of both ends.
-spec hosts() -> [string(), ...].
hosts() ->
    ?HOSTS.

%% Both ends, with TCP's congestion control for connections of the distribution.
-spec places(Tcp :: string()) -> {bench_pair:place(), bench_pair:place()}.
places(Tcp) ->
    Flags = lists:append([["-kernel", Key, tcp_option(Tcp)] || Key <- ["inet_dist_connect_options", "inet_dist_listen_options"]]),
    [First, Second] = [#{host => Host, enter => enter(Name), flags => Flags} || {Name, Host} <- lists:zip(names(), ?HOSTS)],
    {First, Second}.

%% From now on the path is as bad as this. What was on its way is lost.
-spec shape(path(), impairment()) -> ok.
shape(#path{port = Port}, #{rtt_ms := Rtt, loss := Loss} = Impairment) ->
    Narrow = case Impairment of
                 #{mbit := Mbit, buffer := Buffer} -> io_lib:format(" rate=~b buffer=~b", [Mbit * 125_000, Buffer]);
                 #{} -> ""
             end,
    "ok" = ask(Port, io_lib:format("path delay_us=~b loss=~w~s", [round(Rtt * 500), Loss, Narrow])),
    ok.

%% Packets from the first to the second place since the path has its shape: all, and those that found no room in the buffer.
-spec packets(path()) -> {Offered :: non_neg_integer(), Overflowed :: non_neg_integer()}.
packets(#path{port = Port}) ->
    [Offered, Overflowed | _] = [list_to_integer(Word) || Word <- string:lexemes(ask(Port, "counters"), " ")],
    {Offered, Overflowed}.

%% Whether the kernel has this congestion control.
-spec has_tcp(string()) -> boolean().
has_tcp(Name) ->
    {ok, Names} = file:read_file("/proc/sys/net/ipv4/tcp_available_congestion_control"),
    lists:member(Name, string:lexemes(binary_to_list(Names), " \n")).

%% A socket option and not a system control: what is not the kernel's default may be forbidden in a namespace. It is TCP_CONGESTION.
tcp_option(Name) ->
    lists:flatten(io_lib:format("[{raw,6,13,<<~p>>}]", [Name])).

names() ->
    ["bench" ++ os:getpid() ++ Suffix || Suffix <- ["a", "b"]].

interface(Name) ->
    Name.

enter(Name) ->
    [os:find_executable("ip"), "netns", "exec", Name].

connect(Name, Host) ->
    Interface = interface(Name),
    Commands = ["ip netns add " ++ Name,
                "ip link set " ++ Interface ++ " netns " ++ Name,
                "ip -n " ++ Name ++ " address add " ++ Host ++ "/24 dev " ++ Interface,
                %% As many packets as a batch of sends may put before the program, which is where they should wait or be dropped.
                "ip -n " ++ Name ++ " link set " ++ Interface ++ " mtu 1500 txqueuelen 10000 up",
                "ip -n " ++ Name ++ " link set lo up"],
    case lists:append([os:cmd(Command) || Command <- Commands]) of
        "" -> ok;
        Complaint -> throw("no network namespaces here: " ++ string:trim(Complaint))
    end.

ask(Port, Line) ->
    true = port_command(Port, [Line, "\n"]),
    answer(Port).

answer(Port) ->
    receive
        {Port, {data, {eol, Line}}} -> Line;
        {Port, {exit_status, Status}} -> throw(io_lib:format(?PROGRAM " ended with status ~b", [Status]))
    after ?ANSWER_MS -> throw(?PROGRAM " does not answer")
    end.
