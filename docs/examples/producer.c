/* Push points with libcityhall and wait until they are durable.
 *
 *   cc producer.c $(pkg-config --cflags --libs cityhall) -o producer
 */
#include <cityhall.h>

#include <stdio.h>

int
main(int argc, char **argv)
{
    cityhall_producer_options_t options;
    cityhall_producer_t *producer = NULL;
    char error[256];
    cityhall_producer_options_init(&options);
    options.producer = "example-c";
    if (argc == 3) {
        options.ingest = argv[1];
        options.query = argv[2];
    }
    if (cityhall_producer_open(&options, &producer, error, sizeof error) < 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    const int64_t times[] = {1700000000000000000, 1700000010000000000,
                             1700000020000000000};
    const double values[] = {20.5, 20.75, 21.0};
    cityhall_status_t status = cityhall_producer_floats(
        producer, "greenhouse.temperature{bed=\"3\"}", times, values, 3);
    if (status >= 0)
        status = cityhall_producer_point(producer, "door.open", CITYHALL_TIME_RECEIVED,
                                         cityhall_bool(true));
    if (status >= 0)
        status = cityhall_producer_send(producer, NULL);
    if (status >= 0)
        status = cityhall_producer_wait(producer, CITYHALL_DURABLE, 5000);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", cityhall_status_name(status),
                cityhall_producer_error(producer));
    cityhall_producer_destroy(&producer);
    if (status >= 0)
        puts("durable");
    return status < 0;
}
