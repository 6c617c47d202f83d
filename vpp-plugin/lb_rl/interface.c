/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces on the servers' side, where replies under NAT come in. */
#include <lb_rl/error.h>
#include <lb_rl/interface.h>
#include <lb_rl/lb_rl.h>
#include <vnet/feature/feature.h>
#include <vnet/ip/reass/ip4_sv_reass.h>
#include <vnet/ip/reass/ip6_sv_reass.h>

/* What packets meet on the interface. Workers stand still: features and reassembly keep their settings in vectors that move. */
static int lb_rl_return_features(u32 sw_if_index, bool add)
{
	vlib_main_t *vm = vlib_get_main();

	vlib_worker_thread_barrier_sync(vm);
	/* Fragments of replies need their first one's ports. */
	ip4_sv_reass_enable_disable_with_refcnt(sw_if_index, add);
	ip6_sv_reass_enable_disable_with_refcnt(sw_if_index, add);
	int rv = vnet_feature_enable_disable("ip4-unicast", "lb-rl-return4", sw_if_index, add, 0, 0);
	if (!rv)
		rv = vnet_feature_enable_disable("ip6-unicast", "lb-rl-return6", sw_if_index, add, 0, 0);
	vlib_worker_thread_barrier_release(vm);
	return rv;
}

int lb_rl_nat_interface(u32 sw_if_index, bool add, char err[MLB_ERR_LEN])
{
	u32 at = vec_search(lb_rl_main.nat_interfaces, sw_if_index);

	if (add && !lb_rl_main.enabled)
		return lb_rl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	if (add && sw_if_index == 0)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_SW_IF_INDEX, "an interface that receives expected, not local0");
	if (add == (at != ~0))
		return lb_rl_fail(err, add ? VNET_API_ERROR_VALUE_EXIST : VNET_API_ERROR_NO_SUCH_ENTRY, "the interface is %s",
				  add ? "set already" : "not set");
	int rv = lb_rl_return_features(sw_if_index, add);
	if (rv)
		return lb_rl_fail(err, rv, "the interface does not take IP features");
	if (add)
		vec_add1(lb_rl_main.nat_interfaces, sw_if_index);
	else
		vec_del1(lb_rl_main.nat_interfaces, at);
	return 0;
}

/* An interface that is deleted takes its setting along: one made later may get its number. */
static clib_error_t *lb_rl_interface_add_del(vnet_main_t *vnm, u32 sw_if_index, u32 is_add)
{
	char err[MLB_ERR_LEN];

	if (!is_add && vec_search(lb_rl_main.nat_interfaces, sw_if_index) != ~0)
		lb_rl_nat_interface(sw_if_index, false, err);
	return 0;
}
VNET_SW_INTERFACE_ADD_DEL_FUNCTION(lb_rl_interface_add_del);
