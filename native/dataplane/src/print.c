/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as the lines that would make it. */
#include <netinet/in.h>

#include <marllb/endpoint.h>
#include "number.h"
#include "plan.h"

static void print_vip(const struct mlbd_plan_vip *v, struct mlbd_text *t)
{
	const struct mlb_vip_conf *c = &v->opts.conf;
	char ep[MLB_ENDPOINT_LEN], number[MLBD_NUMBER_LEN];

	mlbd_text_add(t, "vip %s %s mode %s load %s pool %s max-connections %u max-servers %u", c->name,
		      mlb_endpoint_text(&c->ep, ep), mlb_mode_name(c->mode), mlb_load_name(c->load), mlb_owner_name(c->owner),
		      v->opts.max_conns, c->capacity);
	if (c->ep.proto == IPPROTO_UDP)
		mlbd_text_add(t, " protocol udp responses %u", v->opts.responses);
	if (v->opts.max_per_source)
		mlbd_text_add(t, " max-connections-per-source %u", v->opts.max_per_source);
	if (v->opts.accept_proxy.n) {
		char nets[MLBD_NETS_TEXT];

		mlbd_text_add(t, " accept-proxy %s", mlbd_nets_text(&v->opts.accept_proxy, nets));
	}
	if (v->opts.send_proxy != MLBD_SEND_PROXY_OFF)
		mlbd_text_add(t, " send-proxy %s", mlbd_send_proxy_name(v->opts.send_proxy));
	mlbd_text_add(t, " kappa %s eject %s guard %s load-balancers %u\n", mlbd_number_text(c->kappa, number),
		      c->eject ? "on" : "off", c->no_guard ? "off" : "on", c->load_balancers);
	for (uint32_t i = 0; i < v->servers; i++) {
		const struct mlbd_server_conf *s = &v->server[i];

		mlbd_text_add(t, "server vip %s %s weight %s max-connections %u", c->name, mlb_endpoint_text(&s->ep, ep),
			      mlbd_number_text(s->weight, number), s->max_conns);
		if (s->send_proxy != MLBD_SEND_PROXY_VIP)
			mlbd_text_add(t, " send-proxy %s", mlbd_send_proxy_name(s->send_proxy));
		mlbd_text_add(t, "%s\n", s->drain ? " drain" : "");
	}
}

void mlbd_plan_print(const struct mlbd_plan *p, struct mlbd_text *t)
{
	char value[1024];

	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		mlbd_setting_print(&mlbd_setting_list[i], &p->settings, value, sizeof(value));
		if (value[0])
			mlbd_text_add(t, "%s %s\n", mlbd_setting_list[i].name, value);
	}
	for (uint32_t i = 0; i < p->vips; i++)
		print_vip(&p->vip[i], t);
}
