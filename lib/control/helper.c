// One thread and the job that it has, see helper.h.
#include "control/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

// Behind the control thread, with which it may share a CPU: there, too, others are to be served
// while it works.
#define NICENESS 5

struct sg_helper {
	struct sg_loop *loop;
	pthread_t thread;
	int done_fd; // eventfd: the job is done
	bool busy;   // control thread only
	sg_helper_fn *done;

	pthread_mutex_t lock; // of what follows
	pthread_cond_t wake;
	sg_helper_fn *work; // NULL: nothing to do
	void *job;
	json_t *discarded; // an array of trees; NULL: none
	bool stop;
};

// Takes what there is to do; the lock is held. Returns false when nothing will come any more.
static bool wait_for_work(struct sg_helper *helper)
{
	while (!helper->work && !helper->discarded && !helper->stop)
		pthread_cond_wait(&helper->wake, &helper->lock);
	return helper->work || helper->discarded;
}

static void stand_back(void)
{
	id_t self = (id_t)gettid();

	pthread_setname_np(pthread_self(), "helper");
	setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + NICENESS);
}

static void *run_thread(void *context)
{
	struct sg_helper *helper = context;
	uint64_t one = 1;

	stand_back();
	pthread_mutex_lock(&helper->lock);
	while (wait_for_work(helper)) {
		json_t *discarded = helper->discarded;
		sg_helper_fn *work = helper->work;
		void *job = helper->job;

		helper->discarded = NULL;
		helper->work = NULL;
		pthread_mutex_unlock(&helper->lock);
		json_decref(discarded);
		if (work)
			work(job);
		pthread_mutex_lock(&helper->lock);
		if (work && write(helper->done_fd, &one, sizeof(one)) < 0)
			break; // an eventfd takes that
	}
	pthread_mutex_unlock(&helper->lock);
	return NULL;
}

static void on_done(void *context, int fd, uint32_t events)
{
	struct sg_helper *helper = context;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	// The lock makes what the work has written visible here.
	pthread_mutex_lock(&helper->lock);
	pthread_mutex_unlock(&helper->lock);
	helper->busy = false;
	helper->done(helper->job);
}

int sg_helper_create(struct sg_helper **ret_helper, struct sg_loop *loop, struct sg_error *error)
{
	struct sg_helper *helper = calloc(1, sizeof(*helper));
	int err = -ENOMEM;

	if (!helper)
		goto fail;
	helper->loop = loop;
	pthread_mutex_init(&helper->lock, NULL);
	pthread_cond_init(&helper->wake, NULL);
	helper->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = helper->done_fd < 0 ? -errno
				  : sg_loop_add(loop, helper->done_fd, EPOLLIN, on_done, helper);
	if (err)
		goto close_fd;
	err = -pthread_create(&helper->thread, NULL, run_thread, helper);
	if (err)
		goto remove_fd;
	*ret_helper = helper;
	return 0;

remove_fd:
	sg_loop_remove(loop, helper->done_fd);
close_fd:
	if (helper->done_fd >= 0)
		close(helper->done_fd);
	free(helper);
fail:
	return sg_error_set(
		error, err, "the control thread's helper cannot be started: %s", strerror(-err));
}

void sg_helper_destroy(struct sg_helper *helper)
{
	if (!helper)
		return;
	pthread_mutex_lock(&helper->lock);
	helper->stop = true;
	pthread_cond_signal(&helper->wake);
	pthread_mutex_unlock(&helper->lock);
	pthread_join(helper->thread, NULL);
	sg_loop_remove(helper->loop, helper->done_fd);
	close(helper->done_fd);
	pthread_cond_destroy(&helper->wake);
	pthread_mutex_destroy(&helper->lock);
	free(helper);
}

bool sg_helper_is_busy(const struct sg_helper *helper)
{
	return helper->busy;
}

void sg_helper_start(struct sg_helper *helper, sg_helper_fn *work, sg_helper_fn *done, void *job)
{
	helper->busy = true;
	helper->done = done;
	pthread_mutex_lock(&helper->lock);
	helper->work = work;
	helper->job = job;
	pthread_cond_signal(&helper->wake);
	pthread_mutex_unlock(&helper->lock);
}

void sg_helper_discard(struct sg_helper *helper, json_t *tree)
{
	if (!tree)
		return;
	pthread_mutex_lock(&helper->lock);
	if (!helper->discarded)
		helper->discarded = json_array();
	// Without memory for an array it is freed here and now.
	json_array_append_new(helper->discarded, tree);
	pthread_cond_signal(&helper->wake);
	pthread_mutex_unlock(&helper->lock);
}
