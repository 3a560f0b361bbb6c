"""The control plane: speaks the Proxmox VE REST API and acts on guests, volumes and a node through a hypervisor."""
