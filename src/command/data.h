/* SPDX-License-Identifier: ISC */
#pragma once

/* Which server a command is about: posthorn [--dir DIR | --config FILE] COMMAND ... */

/* Called by main alone. */
void data_set_folder(const char *folder);
void data_set_config(const char *config);

/*
 * The data folder: --dir, or what the configuration (--config, or /etc/posthorn/posthorn.conf)
 * says. Exits with EX_CONFIG and the reason when the configuration is not right.
 */
const char *data_folder(void);

/* --dir, or NULL. */
const char *data_chosen(void);

/*
 * The configuration's path: --config, what `posthorn try` left in --dir, or /etc/posthorn/posthorn.conf;
 * NULL when there is none.
 */
const char *data_config(void);
