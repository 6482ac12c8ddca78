/* SPDX-License-Identifier: ISC */
/* Runs a fuzz target over every file of a folder: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	FILE_MAX = 4 * 1024 * 1024,
};

static int
replay(const char *folder, const char *name)
{
	char path[4096];
	uint8_t *data = malloc(FILE_MAX);
	uint8_t *exact;
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (f == NULL || data == NULL) {
		perror(path);
		exit(1);
	}
	size = fread(data, 1, FILE_MAX, f);
	fclose(f);
	exact = malloc(size == 0 ? 1 : size); /* ASan sees one octet too far */
	if (exact == NULL)
		exit(1);
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	free(data);
	return 1;
}

int
main(int argc, char **argv)
{
	struct dirent *entry;
	int files = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;

	if (dir == NULL) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 64;
	}
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			files += replay(argv[1], entry->d_name);
	closedir(dir);
	printf("%d inputs replayed\n", files);
	return files > 0 ? 0 : 1;
}
