#include "agent/proc.h"
#include "support/test.h"

static void
test_cpu_lines_become_busy_and_total(void **state)
{
    (void)state;
    static const char text[] =
        "cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 5 0 3 40 2 1 1 0 0 0\nintr 1 2\n";
    ch_cpu_times_t cpus[4];
    assert_int_equal(ch_proc_cpu(text, cpus, 4), 2);
    assert_string_equal(cpus[0].name, "cpu");
    assert_int_equal(cpus[0].total, 100);
    assert_int_equal(cpus[0].busy, 16);
    assert_string_equal(cpus[1].name, "cpu0");
    assert_int_equal(cpus[1].busy, 10);
    assert_int_equal(ch_proc_cpu(text, cpus, 1), 1);
    assert_int_equal(ch_proc_cpu("", cpus, 4), 0);
}

static void
test_disks_are_whole_ones(void **state)
{
    (void)state;
    static const char text[] = " 254 0 vda 10 0 200 5 20 0 400 6 0 77 11\n"
                               " 254 1 vda1 10 0 200 5 20 0 400 6 0 77 11\n"
                               " 259 0 nvme0n1 1 0 2 0 3 0 4 0 0 5 0\n"
                               " 259 1 nvme0n1p1 1 0 2 0 3 0 4 0 0 5 0\n"
                               "   7 0 loop0 1 0 2 0 3 0 4 0 0 5 0\n";
    ch_disk_counters_t disks[8];
    assert_int_equal(ch_proc_disks(text, disks, 8), 2);
    assert_string_equal(disks[0].name, "vda");
    assert_int_equal(disks[0].read_bytes, 200 * 512);
    assert_int_equal(disks[0].written_bytes, 400 * 512);
    assert_int_equal(disks[0].io_ms, 77);
    assert_string_equal(disks[1].name, "nvme0n1");
}

static void
test_network_interfaces(void **state)
{
    (void)state;
    static const char text[] =
        "Inter-|   Receive                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
        "    lo: 1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0\n"
        "  eth0:3000 1 0 0 0 0 0 0 4000 2 0 0 0 0 0 0\n";
    ch_net_counters_t nets[4];
    assert_int_equal(ch_proc_net(text, nets, 4), 2);
    assert_string_equal(nets[1].name, "eth0");
    assert_int_equal(nets[1].received_bytes, 3000);
    assert_int_equal(nets[1].sent_bytes, 4000);
}

static void
test_load_and_memory(void **state)
{
    (void)state;
    double load[3];
    assert_true(ch_proc_load("0.75 0.50 0.25 1/200 4242\n", load));
    assert_true(load[0] == 0.75 && load[2] == 0.25);
    assert_false(ch_proc_load("nonsense", load));
    uint64_t bytes;
    static const char text[] = "MemTotal:       2048 kB\nMemAvailable:   1024 kB\n";
    assert_true(ch_proc_meminfo(text, "MemAvailable", &bytes));
    assert_int_equal(bytes, 1 << 20);
    assert_false(ch_proc_meminfo(text, "Mem", &bytes));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_lines_become_busy_and_total),
        cmocka_unit_test(test_disks_are_whole_ones),
        cmocka_unit_test(test_network_interfaces),
        cmocka_unit_test(test_load_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
